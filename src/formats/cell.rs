//! Cells of a CSV line.

/// What may stand between cells. Where a line splits by several, the earlier one counts: commas also stand within numbers.
pub(super) const DELIMITERS: [u8; 4] = [b'\t', b';', b'|', b','];

/// The first cell, and what follows its delimiter; none where a quote is not closed. Doubled quotes stay doubled: no
/// symbol or number has any.
#[inline]
pub(super) fn cell(text: &[u8], delimiter: u8) -> Option<(&[u8], Option<&[u8]>)> {
    if matches!(text.first(), Some(b'"' | b' ' | b'\t'))
        && let [b'"', quoted @ ..] = past_blanks(text, delimiter)
    {
        return quoted_cell(quoted, delimiter);
    }
    match text.iter().position(|b| *b == delimiter) {
        Some(at) => Some((trim(&text[..at]), Some(&text[at + 1..]))),
        None => Some((trim(text), None)),
    }
}

#[inline]
fn trim(cell: &[u8]) -> &[u8] {
    match cell {
        [first, .., last] if first.is_ascii_whitespace() || last.is_ascii_whitespace() => cell.trim_ascii(),
        [only] if only.is_ascii_whitespace() => &[],
        _ => cell,
    }
}

/// What follows blanks; a tab is none where it stands between cells.
fn past_blanks(text: &[u8], delimiter: u8) -> &[u8] {
    let blanks = text.iter().take_while(|b| b.is_ascii_whitespace() && **b != delimiter).count();
    &text[blanks..]
}

fn quoted_cell(quoted: &[u8], delimiter: u8) -> Option<(&[u8], Option<&[u8]>)> {
    let mut at = 0;
    loop {
        at += memchr::memchr(b'"', &quoted[at..])?;
        if quoted.get(at + 1) != Some(&b'"') {
            break;
        }
        at += 2;
    }
    match past_blanks(&quoted[at + 1..], delimiter) {
        [] => Some((&quoted[..at], None)),
        [next, after @ ..] if *next == delimiter => Some((&quoted[..at], Some(after))),
        _ => None,
    }
}

/// All cells of a line without its line end; none where a quote is not closed, or there are more than `most`.
pub(super) fn cells(line: &[u8], delimiter: u8, most: usize) -> Option<Vec<&[u8]>> {
    let (mut cells, mut rest) = (Vec::new(), Some(line.strip_suffix(b"\r").unwrap_or(line)));
    while let Some(text) = rest {
        if cells.len() == most {
            return None;
        }
        let (cell, after) = cell(text, delimiter)?;
        cells.push(cell);
        rest = after;
    }
    Some(cells)
}

/// The delimiters that a line splits by, and last the comma, which a line of one cell has, too.
pub(super) fn likely_delimiters(line: &[u8]) -> impl Iterator<Item = u8> {
    DELIMITERS.into_iter().filter(move |delimiter| *delimiter == b',' || memchr::memchr(*delimiter, line).is_some())
}

/// Whether a cell says that there is no value: it is empty, or one of the words that tables have for that.
#[inline]
pub(super) fn is_absent(cell: &[u8]) -> bool {
    match cell.first() {
        None => true,
        Some(b'n' | b'N' | b'-' | b'#' | b'<') => is_word_for_absent(cell),
        Some(_) => false,
    }
}

fn is_word_for_absent(cell: &[u8]) -> bool {
    const WORDS: [&[u8]; 10] = [b"nan", b"-nan", b"null", b"na", b"n/a", b"#n/a", b"<na>", b"nat", b"-", b"--"];
    WORDS.iter().any(|word| cell.eq_ignore_ascii_case(word))
}

/// Why a cell that people read as a number is none, and how to write it; none of one that nobody would.
pub(super) fn number_trouble(cell: &[u8]) -> Option<String> {
    /// The longest number that is shown as it should be written.
    const SHOWN_BYTES_MAX: usize = 40;
    let text = std::str::from_utf8(cell).ok().filter(|text| text.len() <= SHOWN_BYTES_MAX)?;
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if digits == 0 {
        return None;
    }
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b',' | b'-' | b'+'));
    let bare = text.trim_matches(|c: char| matches!(c, '$' | '%') || (!c.is_ascii() && !c.is_ascii_digit())).trim();
    if bare.len() < text.len() && plain(bare) {
        return Some(format!("it has a sign that is no digit: write {}", bare.replace(',', "")));
    }
    if let Some(number) = text.strip_suffix(['K', 'k', 'M', 'm', 'B', 'b', 'T']).filter(|number| plain(number)) {
        let suffix = &text[number.len()..];
        return Some(format!(
            "it is rounded, with a suffix `{suffix}`: take a file with whole numbers, or leave the column out"
        ));
    }
    let spaced: String = text.chars().filter(|c| !matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '\'' | '_')).collect();
    if spaced.len() < text.len() && plain(&spaced) {
        return Some(format!("it has thousands separators: write {}", spaced.replace(',', ".")));
    }
    if !plain(text) || !text.contains(',') {
        return None;
    }
    let (commas, dots) = (text.matches(',').count(), text.matches('.').count());
    let groups = |text: &str, by: char| text.split(by).skip(1).all(|group| group.len() == 3);
    Some(match (commas, dots) {
        (_, 1) if text.rfind(',') < text.find('.') => {
            format!("it has thousands separators: write {}", text.replace(',', ""))
        }
        (1, _) if dots > 0 => {
            format!("it has a decimal comma: write {}", text.replace('.', "").replace(',', "."))
        }
        (1, 0) if groups(text, ',') => format!(
            "its comma may be a decimal comma or a thousands separator: write {} or {}",
            text.replace(',', "."),
            text.replace(',', "")
        ),
        (1, 0) => format!("it has a decimal comma: write {}", text.replace(',', ".")),
        _ => format!("it has thousands separators: write {}", text.replace(',', "")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str, delimiter: u8) -> Option<Vec<String>> {
        let cells = cells(line.as_bytes(), delimiter, 9)?;
        Some(cells.into_iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect())
    }

    #[test]
    fn lines_split_by_each_delimiter() {
        for (line, delimiter, expected) in [
            ("a, b ,\"c,d\",", b',', Some(vec!["a", "b", "c,d", ""])),
            ("a;1,5;\"x;y\" ;z\r", b';', Some(vec!["a", "1,5", "x;y", "z"])),
            ("a\t\t\"b\tc\"\t d", b'\t', Some(vec!["a", "", "b\tc", "d"])),
            ("\t\"a\"\t", b'\t', Some(vec!["", "a", ""])),
            ("a|b", b'|', Some(vec!["a", "b"])),
            (" \t\"a\" \t,b", b',', Some(vec!["a", "b"])),
            ("\"a\"\"b\",c", b',', Some(vec!["a\"\"b", "c"])),
            ("\"a", b',', None),
            ("\"a\"b,c", b',', None),
            ("1,2,3,4,5,6,7,8,9,10", b',', None),
        ] {
            let expected = expected.map(|cells| cells.into_iter().map(str::to_owned).collect());
            assert_eq!(split(line, delimiter), expected, "{line}");
        }
    }

    #[test]
    fn words_for_nothing_are_absent() {
        for word in ["", "NaN", "nan", "null", "NULL", "N/A", "-", "#N/A", "<NA>"] {
            assert!(is_absent(word.as_bytes()), "{word}");
        }
        for word in ["0", "-1", "buy", "unknown", "none", "n", "nano", "new", "#", "<"] {
            assert!(!is_absent(word.as_bytes()), "{word}");
        }
    }

    #[test]
    fn numbers_that_people_write_are_told_what_they_are() {
        for (cell, expected) in [
            ("19994,15", "decimal comma: write 19994.15"),
            ("19.994,15", "decimal comma: write 19994.15"),
            ("19,994.15", "thousands separators: write 19994.15"),
            ("1,234,567", "thousands separators: write 1234567"),
            ("1,234", "write 1.234 or 1234"),
            ("19 994.15", "thousands separators: write 19994.15"),
            ("19'994.15", "thousands separators: write 19994.15"),
            ("95.33K", "suffix `K`"),
            ("1.2B", "suffix `B`"),
            ("$19,994.15", "no digit: write 19994.15"),
            ("1.5%", "no digit: write 1.5"),
            ("€5", "no digit: write 5"),
        ] {
            let trouble = number_trouble(cell.as_bytes()).unwrap_or_default();
            assert!(trouble.contains(expected), "{cell}: {trouble}");
        }
        for cell in ["1.5", "-1", "buy", "1e400", "", "0x5", "2023-01-01", ",,", "K"] {
            assert_eq!(number_trouble(cell.as_bytes()), None, "{cell}");
        }
    }
}
