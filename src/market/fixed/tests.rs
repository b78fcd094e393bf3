use super::*;
use proptest::prelude::*;

#[test]
fn reads_plain_numbers_and_exponents() {
    for (text, raw) in [
        ("0", 0),
        ("1", SCALE),
        ("-1.5", -150_000_000),
        ("+2", 200_000_000),
        ("31571.742818217568", 3_157_174_281_822),
        ("1e3", 1000 * SCALE),
        ("1.5E-3", 150_000),
        ("1e-30", 0),
        ("0.000000005", 0),
        ("0.000000015", 2),
        ("0.0000000050000000000000000000000000000000000000000001", 1),
        ("92233720368.54775807", i64::MAX),
        (".5", 50_000_000),
        ("5.", 500_000_000),
    ] {
        assert_eq!(Fixed::parse(text.as_bytes()).map(Fixed::raw), Ok(raw), "{text}");
    }
}

#[test]
fn refuses_what_is_no_number_or_too_large() {
    for text in ["", "-", ".", "NaN", "inf", "1e", "1e+", "0x1", "1 ", " 1", "1,5", "1.2.3", "--1"] {
        assert_eq!(Fixed::parse(text.as_bytes()), Err(FixedError::NotANumber), "{text}");
    }
    for text in ["1e400", "92233720368.54775808", "1e999999999999", "99999999999999999999999999999999999999999999"] {
        assert_eq!(Fixed::parse(text.as_bytes()), Err(FixedError::OutOfRange), "{text}");
    }
}

#[test]
fn volumes_reach_further() {
    for (text, raw) in [
        ("1.5", 150_000_000),
        ("125000000000.00", 12_500_000_000_000_000_000),
        ("1e18", VOLUME_RAW_MAX),
        ("999999999999999999.00000001", 99_999_999_999_999_999_900_000_001),
        ("-1e18", -VOLUME_RAW_MAX),
    ] {
        assert_eq!(parse_volume(text.as_bytes()), Ok(raw), "{text}");
    }
    for text in ["1.00000000000000000001e18", "1000000000000000000.00000001", "1e40", &"9".repeat(44)] {
        assert_eq!(parse_volume(text.as_bytes()), Err(VolumeError::OutOfRange), "{text}");
    }
    assert_eq!(parse_volume(b"n/a"), Err(VolumeError::NotANumber));
}

proptest! {
    #[test]
    fn volumes_are_read_as_other_numbers(raw in any::<i64>()) {
        let text = Fixed::from_raw(raw).to_string();
        prop_assert_eq!(parse_volume(text.as_bytes()), Ok(i128::from(raw)));
    }

    #[test]
    fn text_round_trips(raw in any::<i64>()) {
        let value = Fixed::from_raw(raw);
        prop_assert_eq!(Fixed::parse(value.to_string().as_bytes()), Ok(value));
    }

    #[test]
    fn plain_numbers_are_read_as_any(text in "[0-9]{0,12}(\\.[0-9]{0,12}(5|50|500)?)?[0-9a-f.]?") {
        prop_assert_eq!(Fixed::parse(text.as_bytes()), Fixed::parse_any(text.as_bytes()));
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = Fixed::parse(&bytes);
    }

    #[test]
    fn agrees_with_integer_arithmetic(mantissa in 0_u64..u64::MAX, places in 0_u32..30) {
        // The same number, spelled out with a decimal point, against u128 arithmetic.
        let digits = format!("{mantissa:0>width$}", width = places as usize + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places as usize);
        let text = format!("{whole}.{fraction}");
        let expected = if places <= 8 {
            i128::from(mantissa) * 10_i128.pow(8 - places)
        } else {
            let divisor = 10_i128.pow(places - 8);
            let (q, r) = (i128::from(mantissa) / divisor, i128::from(mantissa) % divisor);
            q + i128::from(2 * r > divisor || (2 * r == divisor && q % 2 == 1))
        };
        let expected = i64::try_from(expected).map_err(|_| FixedError::OutOfRange);
        prop_assert_eq!(Fixed::parse(text.as_bytes()).map(Fixed::raw), expected);
    }
}
