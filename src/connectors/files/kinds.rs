//! What is not read says what it is, and how it becomes something that is: known by its first bytes, not by its name.

use std::path::Path;

/// How many first bytes tell a file's kind: tar has its mark behind a name, at byte 257.
pub(super) const BEGIN_BYTES: usize = 512;

/// One kind: where its mark stands, the mark, what it is, and what to do. `{}` stands for the file's name.
struct Kind(usize, &'static [u8], &'static str, &'static str);

const PANDAS: &str = "write it as Parquet first: python3 -c \"import pandas; ";

const KINDS: [Kind; 33] = [
    Kind(0, b"\xfd7zXZ\0", "compressed by xz", "unpack it first: xz -dk {}"),
    Kind(0, b"BZh", "compressed by bzip2", "unpack it first: bzip2 -dk {}"),
    Kind(0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it first: 7z x {}"),
    Kind(0, b"Rar!\x1a\x07", "a RAR archive", "unpack it first: unrar x {}"),
    Kind(0, b"\x04\x22\x4d\x18", "compressed by lz4", "unpack it first: lz4 -dk {}"),
    Kind(0, b"LZIP", "compressed by lzip", "unpack it first: lzip -dk {}"),
    Kind(0, b"\x1f\x9d", "compressed by compress", "unpack it first: uncompress -k {}"),
    Kind(0, b"\xff\x06\0\0sNaPpY", "compressed by snappy", "unpack it first: snzip -dk {}"),
    Kind(257, b"ustar", "a tar archive", "unpack it first, and name the files in it: tar -xf {}"),
    Kind(0, b"ARROW1", "Arrow (Feather)", "pandas.read_feather('{}').to_parquet('{}.parquet')\""),
    Kind(0, b"FEA1", "Feather", "pandas.read_feather('{}').to_parquet('{}.parquet')\""),
    Kind(0, b"ORC", "ORC", "pandas.read_orc('{}').to_parquet('{}.parquet')\""),
    Kind(0, b"\x89HDF\r\n\x1a\n", "HDF5", "pandas.read_hdf('{}').to_parquet('{}.parquet')\""),
    Kind(0, b"\x80\x02", "a Python pickle", "pandas.read_pickle('{}').to_parquet('{}.parquet')\""),
    Kind(0, b"\x80\x03", "a Python pickle", "pandas.read_pickle('{}').to_parquet('{}.parquet')\""),
    Kind(0, b"\x80\x04\x95", "a Python pickle", "pandas.read_pickle('{}').to_parquet('{}.parquet')\""),
    Kind(0, b"\x80\x05\x95", "a Python pickle", "pandas.read_pickle('{}').to_parquet('{}.parquet')\""),
    Kind(
        0,
        b"\x93NUMPY",
        "a NumPy array",
        "write it as CSV first: python3 -c \"import numpy; numpy.savetxt('{}.csv', numpy.load('{}'), '%.17g', ',')\"",
    ),
    Kind(0, b"Obj\x01", "Avro", "write it as JSON lines first: avro-tools tojson {} > {}.jsonl"),
    Kind(0, b"DBN", "Databento's DBN", "write it as CSV first: dbn {} --csv > {}.csv"),
    Kind(
        0,
        b"SQLite format 3\0",
        "a SQLite database",
        "write a table of it as CSV first: sqlite3 -header -csv {} 'select * from TABLE' > {}.csv",
    ),
    Kind(
        0,
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "an old Excel sheet or another Office document",
        "save the sheet as CSV first",
    ),
    Kind(0, b"%PDF-", "a PDF", "take the numbers in another form: they cannot be read from it"),
    Kind(0, b"\x89PNG", "a picture", "name the file with the numbers"),
    Kind(0, b"\xff\xd8\xff", "a picture", "name the file with the numbers"),
    Kind(0, b"\xff\xfe\0\0", "text in UTF-32", "write it as UTF-8 first: iconv -f UTF-32 -t UTF-8 {} > {}.utf8"),
    Kind(0, b"\0\0\xfe\xff", "text in UTF-32", "write it as UTF-8 first: iconv -f UTF-32 -t UTF-8 {} > {}.utf8"),
    Kind(0, b"\xff\xfe", "text in UTF-16", "write it as UTF-8 first: iconv -f UTF-16 -t UTF-8 {} > {}.utf8"),
    Kind(0, b"\xfe\xff", "text in UTF-16", "write it as UTF-8 first: iconv -f UTF-16 -t UTF-8 {} > {}.utf8"),
    Kind(
        0,
        b"version https://git-lfs.github.com/",
        "a pointer of Git LFS, not the file",
        "get the file first: git lfs pull",
    ),
    Kind(0, b"\x1f\x8b", "compressed by gzip, and that once more", "unpack it once first: gzip -dk {}"),
    Kind(0, b"\x28\xb5\x2f\xfd", "compressed by zstd, and that once more", "unpack it once first: zstd -dk {}"),
    Kind(0, b"PK\x03\x04", "a zip archive", "unpack it first, and name the files in it: unzip {}"),
];

/// How a page of the web begins, in lower case, behind blanks.
const PAGES: [(&[u8], &str); 5] = [
    (b"<!doctype html", "a page of the web (HTML)"),
    (b"<html", "a page of the web (HTML)"),
    (b"<head", "a page of the web (HTML)"),
    (b"<?xml", "XML"),
    (b"{\\rtf", "a text with formats (RTF)"),
];

/// What a file that begins so is and what to do, where it cannot be read. What is compressed is to be unpacked before.
pub(super) fn unreadable_kind(path: &Path, begins: &[u8]) -> Option<String> {
    let named = |what: &str, how: &str| {
        let how = if how.starts_with("pandas.") { format!("{PANDAS}{how}") } else { how.to_owned() };
        Some(format!("{} is {what}: {}", path.display(), how.replace("{}", &path.display().to_string())))
    };
    let found = KINDS.iter().find(|Kind(at, mark, ..)| begins.get(*at..).is_some_and(|rest| rest.starts_with(mark)));
    if let Some(Kind(_, _, what, how)) = found {
        return named(what, how);
    }
    let text = begins.strip_prefix(b"\xef\xbb\xbf").unwrap_or(begins).trim_ascii_start();
    let page =
        PAGES.iter().find(|(mark, _)| text.get(..mark.len()).is_some_and(|head| head.eq_ignore_ascii_case(mark)));
    if let Some((_, what)) = page {
        return named(what, "a download that failed leaves that; look at it, and get the file again");
    }
    utf16(begins).and_then(|encoding| {
        let how = format!("write it as UTF-8 first: iconv -f {encoding} -t UTF-8 {{}} > {{}}.utf8");
        named(&format!("text in {encoding}, without a byte order mark"), &how)
    })
}

/// UTF-16 without a mark: of ASCII text every other byte is 0.
fn utf16(begins: &[u8]) -> Option<&'static str> {
    /// Pairs of bytes that are looked at.
    const PAIRS: usize = 8;
    let pairs = begins.as_chunks::<2>().0.get(..PAIRS)?;
    let is_text = |byte: u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    if pairs.iter().all(|[low, high]| *high == 0 && is_text(*low)) {
        return Some("UTF-16LE");
    }
    pairs.iter().all(|[high, low]| *high == 0 && is_text(*low)).then_some("UTF-16BE")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(begins: &[u8]) -> Option<String> {
        unreadable_kind(Path::new("dir/a.csv"), begins)
    }

    #[test]
    fn each_kind_says_what_it_is_and_what_to_do() {
        for Kind(at, mark, what, _) in &KINDS {
            let mut begins = vec![b'x'; *at];
            begins.extend_from_slice(mark);
            begins.extend_from_slice(b"rest of it, which may be anything");
            let said = said(&begins).unwrap();
            assert!(said.starts_with(&format!("dir/a.csv is {what}: ")), "{said}");
            assert!(!said.contains("{}"), "{said}");
        }
        assert!(
            said(b"ARROW1\0\0")
                .unwrap()
                .ends_with("pandas.read_feather('dir/a.csv').to_parquet('dir/a.csv.parquet')\"")
        );
        assert!(said(b"\xef\xbb\xbf \n<!DOCTYPE html><html>").unwrap().contains("HTML"));
        assert!(said(b"<?xml version=\"1.0\"?><Error>").unwrap().contains("XML"));
        let wide = |text: &str, big: bool| -> Vec<u8> {
            text.encode_utf16().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
        };
        assert!(said(&wide("timestamp,price", false)).unwrap().contains("iconv -f UTF-16LE"));
        assert!(said(&wide("timestamp,price", true)).unwrap().contains("iconv -f UTF-16BE"));
    }

    #[test]
    fn what_can_be_read_is_left_alone() {
        for begins in [
            &b"timestamp,price\n1,2\n"[..],
            b"{\"symbol\":\"BTC\"}",
            b"[{\"symbol\":\"BTC\"}]",
            b"\0\0\0\0\x01{\"symbol\":\"BTC\",\"price\":1}",
            b"<DATE>\t<TIME>\t<OPEN>",
            b"\xef\xbb\xbfts,price",
            b"",
            b"B",
            b"+{}",
        ] {
            assert_eq!(said(begins), None, "{begins:?}");
        }
    }
}
