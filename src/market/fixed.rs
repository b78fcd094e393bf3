//! Fixed-point numbers: integers of 1e-8, read from decimal text and written back exactly.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Units of [`Fixed`] in one.
pub const SCALE: i64 = 100_000_000;
/// Decimal places of [`Fixed`].
const PLACES: i32 = 8;

/// A number with eight decimal places, held as an integer of 1e-8.
///
/// ```
/// use tickcast::market::Fixed;
/// let price: Fixed = Fixed::parse(b"31571.742818217568").unwrap();
/// assert_eq!(price.to_string(), "31571.74281822");
/// assert_eq!(Fixed::parse(b"2.5e-8").unwrap().raw(), 2); // halves round to even
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fixed(i64);

/// Why a text is not a [`Fixed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FixedError {
    /// Not a decimal number: `NaN`, an empty text, letters.
    #[error("not a decimal number")]
    NotANumber,
    /// Beyond ±92,233,720,368.54775807.
    #[error("beyond the range of ±92,233,720,368 with eight decimal places")]
    OutOfRange,
}

impl Fixed {
    /// Zero.
    pub const ZERO: Self = Self(0);

    /// From units of 1e-8.
    #[must_use]
    pub const fn from_raw(raw: i64) -> Self {
        Self(raw)
    }

    /// Units of 1e-8.
    #[must_use]
    pub const fn raw(self) -> i64 {
        self.0
    }

    /// The nearest `f64`.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        raw_to_f64(i128::from(self.0))
    }

    /// Reads decimal text, with or without fraction and exponent, rounding half to even.
    ///
    /// # Errors
    /// When the text is no decimal number, or beyond the range.
    #[inline]
    pub fn parse(text: &[u8]) -> Result<Self, FixedError> {
        plain_units(text).map_or_else(|| Self::parse_any(text), |units| Ok(Self(units)))
    }

    /// Reads a plain number of up to ten digits before the point, without a sign; none where it is another, which may be one.
    #[inline]
    pub(crate) fn parse_plain(text: &[u8]) -> Option<Self> {
        plain_units(text).map(Self)
    }

    fn parse_any(text: &[u8]) -> Result<Self, FixedError> {
        i64::try_from(units(text)?).map(Self).map_err(|_| FixedError::OutOfRange)
    }
}

/// The largest volume, in units of 1e-8: 1e18. Sums of a trillion of them still fit.
pub const VOLUME_RAW_MAX: i128 = 1_000_000_000_000_000_000 * SCALE as i128;

/// Reads decimal text as [`Fixed::parse`] does, up to ±[`VOLUME_RAW_MAX`]: units of 1e-8.
///
/// # Errors
/// When the text is no decimal number, or beyond that range.
#[inline]
pub fn parse_volume(text: &[u8]) -> Result<i128, VolumeError> {
    match plain_units(text) {
        Some(units) => Ok(i128::from(units)),
        None => parse_any_volume(text),
    }
}

fn parse_any_volume(text: &[u8]) -> Result<i128, VolumeError> {
    match units(text) {
        Ok(units) if units.abs() <= VOLUME_RAW_MAX => Ok(units),
        Ok(_) | Err(FixedError::OutOfRange) => Err(VolumeError::OutOfRange),
        Err(FixedError::NotANumber) => Err(VolumeError::NotANumber),
    }
}

/// Why a text is no volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VolumeError {
    /// Not a decimal number: `NaN`, an empty text, letters.
    #[error("not a decimal number")]
    NotANumber,
    /// Beyond ±1e18.
    #[error("beyond the range of ±1e18")]
    OutOfRange,
}

/// Units of 1e-8 of any decimal number.
pub(crate) fn units(text: &[u8]) -> Result<i128, FixedError> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let magnitude = Decimal::scan(digits)?.to_units()?;
    Ok(if negative { -magnitude } else { magnitude })
}

/// Units of 1e-8 of up to ten digits, and after a point one or more: nearly every price and size is like that. Everything
/// else is left to [`Fixed::parse_any`], which gives the same answers.
#[inline]
fn plain_units(text: &[u8]) -> Option<i64> {
    const WHOLE_DIGITS_MAX: usize = 10;
    const POWERS: [i64; 9] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
    let (mut whole, mut at) = (0_i64, 0);
    while let Some(digit) = text.get(at).and_then(|byte| digit(*byte)) {
        if at == WHOLE_DIGITS_MAX {
            return None;
        }
        whole = whole * 10 + digit;
        at += 1;
    }
    let whole = whole * SCALE;
    let fraction = match text.get(at..)? {
        _ if at == 0 => return None,
        [] => return Some(whole),
        [b'.', fraction @ ..] if !fraction.is_empty() => fraction,
        _ => return None,
    };
    let Some((head, tail)) = fraction.split_first_chunk::<8>() else {
        let units = fraction.iter().try_fold(0, |sum, byte| Some(sum * 10 + digit(*byte)?))?;
        return Some(whole + units * POWERS[POWERS.len() - 1 - fraction.len()]);
    };
    let units = whole + eight_digits(*head)?;
    let Some((next, rest)) = tail.split_first() else { return Some(units) };
    if !next.is_ascii_digit() || !rest.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let half = *next == b'5' && rest.iter().all(|digit| *digit == b'0');
    let up = if half { units % 2 == 1 } else { *next >= b'5' };
    Some(units + i64::from(up))
}

#[inline]
fn digit(byte: u8) -> Option<i64> {
    let digit = byte.wrapping_sub(b'0');
    (digit <= 9).then_some(i64::from(digit))
}

/// The number that eight digits spell, all at once: neighbours are joined to twos, to fours, to eight.
#[inline]
pub(super) fn eight_digits(text: [u8; 8]) -> Option<i64> {
    let digits = u64::from_le_bytes(text) ^ 0x3030_3030_3030_3030;
    // Above 9, adding 0x76 sets a byte's highest bit, or it is set already.
    if (digits.wrapping_add(0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    let twos = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (twos * 100 + (twos >> 16)) & 0x0000_ffff_0000_ffff;
    let eight = (fours * 10_000 + (fours >> 32)) & 0xffff_ffff;
    Some(eight as i64)
}

/// Digits as read: `mantissa * 10^exponent`, and whether anything non-zero was cut off below.
struct Decimal {
    mantissa: u128,
    exponent: i32,
    sticky: bool,
}

/// Digits that a `u128` holds without overflow.
const MANTISSA_DIGITS: u32 = 38;

impl Decimal {
    fn scan(text: &[u8]) -> Result<Self, FixedError> {
        let mut number = Self { mantissa: 0, exponent: 0, sticky: false };
        let mut significant = 0_u32;
        let mut any = false;
        let mut fraction = false;
        let mut at = 0;
        // The first 18 digits fit an u64, whose arithmetic is much cheaper than u128's.
        let mut small = 0_u64;
        while let Some(&byte) = text.get(at) {
            match byte {
                b'0'..=b'9' => {
                    let digit = byte - b'0';
                    any = true;
                    if significant < 18 {
                        small = small * 10 + u64::from(digit);
                        significant += u32::from(small != 0);
                        number.exponent -= i32::from(fraction);
                    } else if significant < MANTISSA_DIGITS {
                        if significant == 18 {
                            number.mantissa = u128::from(small);
                        }
                        number.mantissa = number.mantissa * 10 + u128::from(digit);
                        significant += 1;
                        number.exponent -= i32::from(fraction);
                    } else {
                        number.sticky |= digit != 0;
                        number.exponent += i32::from(!fraction);
                    }
                }
                b'.' if !fraction => fraction = true,
                b'e' | b'E' if any => {
                    number.exponent = number.exponent.saturating_add(scan_exponent(&text[at + 1..])?);
                    at = text.len();
                    break;
                }
                _ => return Err(FixedError::NotANumber),
            }
            at += 1;
        }
        if !any || at != text.len() {
            return Err(FixedError::NotANumber);
        }
        if significant <= 18 {
            number.mantissa = u128::from(small);
        }
        Ok(number)
    }

    /// Units of 1e-8, rounded half to even.
    fn to_units(&self) -> Result<i128, FixedError> {
        if self.mantissa == 0 {
            return Ok(0);
        }
        let shift = self.exponent.saturating_add(PLACES);
        if shift >= 0 {
            // A mantissa of up to 38 digits overflows long before the cut-off digits could matter.
            let factor = 10_u128.checked_pow(shift.unsigned_abs()).ok_or(FixedError::OutOfRange)?;
            let units = self.mantissa.checked_mul(factor).ok_or(FixedError::OutOfRange)?;
            return i128::try_from(units).map_err(|_| FixedError::OutOfRange);
        }
        let Some(divisor) = 10_u128.checked_pow(shift.unsigned_abs()) else {
            return Ok(0);
        };
        let (quotient, remainder) = if self.mantissa <= u128::from(u64::MAX) && divisor <= u128::from(u64::MAX) {
            let (mantissa, divisor) = (self.mantissa as u64, divisor as u64);
            (u128::from(mantissa / divisor), u128::from(mantissa % divisor))
        } else {
            (self.mantissa / divisor, self.mantissa % divisor)
        };
        let half = divisor / 2;
        let up = remainder > half || (remainder == half && (self.sticky || quotient % 2 == 1));
        i128::try_from(quotient + u128::from(up)).map_err(|_| FixedError::OutOfRange)
    }
}

fn scan_exponent(text: &[u8]) -> Result<i32, FixedError> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(FixedError::NotANumber);
    }
    let value = digits.iter().fold(0_i32, |sum, d| sum.saturating_mul(10).saturating_add(i32::from(d - b'0')));
    // Far beyond any range, and small enough that adding to it cannot overflow.
    let value = value.min(1_000_000);
    Ok(if negative { -value } else { value })
}

/// The nearest `f64` of a number in units of 1e-8.
#[must_use]
pub fn raw_to_f64(raw: i128) -> f64 {
    raw as f64 / SCALE as f64
}

/// Writes a number in units of 1e-8 as exact decimal text, without trailing zeros.
pub fn write_decimal(raw: i128, out: &mut Vec<u8>) {
    let mut digits = itoa::Buffer::new();
    if raw < 0 {
        out.push(b'-');
    }
    let magnitude = raw.unsigned_abs();
    let scale = u128::from(SCALE.unsigned_abs());
    let (whole, mut fraction) = match u64::try_from(magnitude) {
        Ok(small) => (u128::from(small / SCALE.unsigned_abs()), small % SCALE.unsigned_abs()),
        Err(_) => (magnitude / scale, (magnitude % scale) as u64),
    };
    out.extend_from_slice(digits.format(whole).as_bytes());
    if fraction == 0 {
        return;
    }
    let mut places = PLACES as usize;
    while fraction % 10 == 0 {
        fraction /= 10;
        places -= 1;
    }
    out.push(b'.');
    let text = digits.format(fraction).as_bytes();
    out.extend(std::iter::repeat_n(b'0', places - text.len()));
    out.extend_from_slice(text);
}

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(24);
        write_decimal(i128::from(self.0), &mut text);
        f.pad(std::str::from_utf8(&text).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
