use super::*;
use proptest::prelude::*;

fn accepts(text: &[u8]) -> bool {
    let mut cursor = Cursor::new(text);
    cursor.space();
    cursor.value().is_ok() && cursor.end().is_ok()
}

/// The oracle: serde_json passing over a value.
fn oracle(text: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
}

#[test]
fn agrees_with_serde_json_on_the_edges() {
    for text in [
        "",
        " ",
        "{}",
        "[]",
        "{ }",
        "[ ]",
        "[1,]",
        "{\"a\":1,}",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "[1 2]",
        "[[],{}]",
        "[{\"a\":[1,{\"b\":null}]},2]",
        "0",
        "-0",
        "01",
        "-",
        "1.",
        ".5",
        "1.5e",
        "1e+5",
        "1E-5",
        "1e5.5",
        "+1",
        "NaN",
        "nul",
        "null",
        "nullx",
        "true",
        "false",
        "tru",
        "\"",
        "\"a",
        "\"\\\"",
        "\"\\u12g4\"",
        "\"\\u1234\"",
        "\"\\x\"",
        "\"\u{1}\"",
        "\"é\"",
        "\"0123456789\\n\"",
        "[}",
        "{]",
        "[1}",
        "{\"a\":1]",
        "1 1",
        "\"a\tb\"",
        "[",
        "{",
        "]",
        "}",
        "{\"a\":1,\"a\":2}",
        "\"12345678\u{7f}\"",
    ] {
        assert_eq!(accepts(text.as_bytes()), oracle(text.as_bytes()), "{text}");
    }
}

#[test]
fn bounds_the_nesting() {
    let nested = |n| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert!(accepts(nested(128).as_bytes()));
    assert!(!accepts(nested(129).as_bytes()));
    assert!(!accepts("[".repeat(1_000_000).as_bytes()));
}

proptest! {
    #[test]
    fn agrees_with_serde_json(text in r#"[\[\]{}:,"\\ 0-9a.eE+\-ntrufls\n]{0,24}"#) {
        prop_assert_eq!(accepts(text.as_bytes()), oracle(text.as_bytes()));
    }

    #[test]
    fn agrees_with_serde_json_on_broken_documents(cut in 0_usize..80, insert in any::<char>(), at in 0_usize..80) {
        let whole = "{\"a\": [1, -2.5e3, \"x\\u00e9\\n\", {\"b\": null}], \"status\":{\"ok\":true},\"z\":\"123456789\"}";
        let mut text: String = whole.chars().take(whole.len() - cut.min(whole.len())).collect();
        text.insert(at.min(text.len()), insert);
        prop_assert_eq!(accepts(text.as_bytes()), oracle(text.as_bytes()));
    }

    #[test]
    fn finds_the_first_special_byte(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let expected = bytes.iter().position(|b| matches!(b, b'"' | b'\\' | 0..0x20)).unwrap_or(bytes.len());
        let (plain, high) = plain_prefix(&bytes);
        prop_assert_eq!(plain, expected);
        prop_assert!(high || bytes[..plain].is_ascii());
    }

    #[test]
    fn finds_the_first_byte_that_is_no_digit(text in "[0-9]{0,20}", more in proptest::collection::vec(any::<u8>(), 0..12)) {
        let bytes = [text.as_bytes(), &more].concat();
        let expected = bytes.iter().position(|b| !b.is_ascii_digit()).unwrap_or(bytes.len());
        prop_assert_eq!(digit_prefix(&bytes), expected);
    }
}
