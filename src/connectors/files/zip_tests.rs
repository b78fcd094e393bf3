use super::super::open::{Opened, look_for, open};
use super::*;
use std::io::Write as _;

/// An archive of these members, deflated.
pub(in crate::connectors::files) fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    with_method(members, CompressionMethod::DEFLATE)
}

fn with_method(members: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut archive = rawzip::ZipArchiveWriter::new(Vec::new());
    for (name, bytes) in members {
        if name.ends_with('/') {
            archive.new_dir(*name).create().unwrap();
            continue;
        }
        let (mut entry, config) = archive.new_file(*name).compression_method(method).start().unwrap();
        let descriptor = if method == CompressionMethod::DEFLATE {
            let encoder = flate2::write::DeflateEncoder::new(&mut entry, flate2::Compression::fast());
            let mut writer = config.wrap(encoder);
            writer.write_all(bytes).unwrap();
            let (encoder, descriptor) = writer.finish().unwrap();
            encoder.finish().unwrap();
            descriptor
        } else {
            let mut writer = config.wrap(&mut entry);
            writer.write_all(bytes).unwrap();
            writer.finish().unwrap().1
        };
        entry.finish(descriptor).unwrap();
    }
    archive.finish().unwrap()
}

/// The text of an archive, and the name that says what kind it is.
fn read(bytes: &[u8]) -> Result<(String, String), String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.zip");
    std::fs::write(&path, bytes).unwrap();
    let Opened::Text(mut text) = open(&path).map_err(|error| error.to_string())? else { panic!("no text") };
    let mut all = String::new();
    text.reader.read_to_string(&mut all).map_err(|error| error.to_string())?;
    Ok((all, text.name))
}

#[test]
fn members_follow_each_other_in_their_order() {
    let members: [(&str, &[u8]); 7] = [
        ("folder/", b""),
        ("folder/b.CSV", b"ts,price\n1,2"),
        ("__MACOSX/folder/._b.csv", b"\0\x05\x16\x07"),
        ("folder/.DS_Store", b"\0\0\0\x01"),
        ("empty.csv", b""),
        ("a.csv", b"\xef\xbb\xbfts,price\n3,4\n"),
        ("x", b"5"),
    ];
    let expected = ("ts,price\n1,2\nts,price\n3,4\n5\n".to_owned(), "folder/b.csv".to_owned());
    assert_eq!(read(&archive(&members)), Ok(expected.clone()));
    assert_eq!(read(&with_method(&members, CompressionMethod::STORE)), Ok(expected));
    assert_eq!(read(&archive(&[])).unwrap().0, "");
    let long = "x".repeat(300_000);
    assert_eq!(read(&archive(&[("long", long.as_bytes())])).unwrap().0.len(), 300_001);
}

#[test]
fn one_member_is_read_by_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let members: [(&str, &[u8]); 6] = [
        ("2024/XBTUSD.csv", b"1,2\n"),
        ("2024/ETHUSD.csv", b"3,4"),
        ("2024/broken.csv.gz", b"\x1f\x8b\x08rest"),
        ("2023/ETHUSD.csv", b"5,6\n"),
        ("SOLUSD.csv", b"7,8\n"),
        ("2023/SOLUSD.csv", b"9,10\n"),
    ];
    std::fs::write(dir.path().join("a.zip"), archive(&members)).unwrap();
    std::fs::write(dir.path().join("a.csv"), "1,2\n").unwrap();
    let twice: [(&str, &[u8]); 2] = [("x.csv", b"1,2\n"), ("x.csv", b"3,4\n")];
    std::fs::write(dir.path().join("twice.zip"), archive(&twice)).unwrap();
    let read = |name: &str| -> Result<(String, String), String> {
        let path = dir.path().join(name);
        let Opened::Text(mut text) = open(&path).map_err(|error| error.to_string())? else { panic!("no text") };
        assert_eq!(look_for(&path), Ok(()));
        let mut all = String::new();
        text.reader.read_to_string(&mut all).map_err(|error| error.to_string())?;
        Ok((all, text.name))
    };
    let one = |text: &str, name: &str| Ok((text.to_owned(), name.to_owned()));
    assert_eq!(read("a.zip/2024/XBTUSD.csv"), one("1,2\n", "2024/xbtusd.csv"));
    // Its folder need not be named; a line feed is put behind the last line.
    assert_eq!(read("a.zip/XBTUSD.csv"), one("1,2\n", "2024/xbtusd.csv"));
    assert_eq!(read("a.zip/2024/ETHUSD.csv"), one("3,4\n", "2024/ethusd.csv"));
    // A whole name counts before an end of one.
    assert_eq!(read("a.zip/SOLUSD.csv"), one("7,8\n", "solusd.csv"));
    for (name, why) in [
        ("a.zip/ETHUSD.csv", "a.zip: it has several members ETHUSD.csv, as 2024/ETHUSD.csv and 2023/ETHUSD.csv"),
        ("twice.zip/x.csv", "it has several members x.csv"),
        ("a.zip/USD.csv", "there is no member USD.csv in it: it has SOLUSD.csv, "),
        ("a.zip/broken.csv.gz", "broken.csv.gz is compressed by gzip"),
        ("a.csv/XBTUSD.csv", "a.csv is a file, and no zip archive"),
        ("b.zip/XBTUSD.csv", "there is no such file; check the path"),
    ] {
        let said = read(name).unwrap_err();
        assert!(said.contains(why), "{name}: {said}");
        assert!(look_for(&dir.path().join(name)).is_err(), "{name}");
    }
    // All of it is another matter.
    assert!(read("a.zip").unwrap_err().contains("broken.csv.gz is compressed by gzip"));
}

#[test]
fn members_that_cannot_be_read_are_told_by_name() {
    let error = |members: &[(&str, &[u8])]| read(&archive(members)).unwrap_err();
    assert!(error(&[("a.csv", b"x"), ("b.parquet", b"PAR1....PAR1")]).contains("b.parquet is Parquet within a zip"));
    assert!(error(&[("inner.zip", &archive(&[("a", b"x")]))]).contains("inner.zip is a zip archive"));
    assert!(error(&[("a.csv.gz", b"\x1f\x8b\x08rest")]).contains("a.csv.gz is compressed by gzip"));
    assert!(error(&[("[Content_Types].xml", b"x"), ("xl/workbook.xml", b"x")]).contains("Excel"));
    assert!(error(&[("arr_0.npy", b"\x93NUMPY")]).contains("NumPy"));
    let unknown = with_method(&[("a.csv", b"x")], CompressionMethod::new(14));
    assert!(read(&unknown).unwrap_err().contains("its member a.csv is packed by method 14 (LZMA), which is not read"));
    // Bit 0 of the flags in the table: encrypted.
    let mut encrypted = archive(&[("a.csv", b"x")]);
    let table = encrypted.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    encrypted[table + 8] |= 1;
    assert!(read(&encrypted).unwrap_err().contains("its member a.csv is encrypted: unpack it first"));
}

#[test]
fn damage_is_an_error_that_names_the_member_or_the_file() {
    let text: Vec<u8> = (0..50_000).flat_map(|i| format!("{i},{}\n", i * 7919 % 1000).into_bytes()).collect();
    let whole = archive(&[("first.csv", b"a\n"), ("second.csv", &text)]);
    for keep in [4, 30, whole.len() / 2, whole.len() - 1] {
        let error = read(&whole[..keep]).unwrap_err();
        assert!(error.contains("a.zip") && error.contains("cut or damaged"), "{keep}: {error}");
    }
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 0x55;
    assert!(read(&damaged).unwrap_err().contains("its member second.csv"));
    // A member that is larger than the table says ends there.
    let mut larger = whole;
    let table = larger.windows(4).rposition(|four| four == b"PK\x01\x02").unwrap();
    larger[table + 24..table + 28].copy_from_slice(&7_u32.to_le_bytes());
    assert!(read(&larger).unwrap_err().contains("second.csv"));
    assert!(read(b"ts,price\n").unwrap_err().contains("should be a zip archive"));
}

/// Whatever is wrong with an archive, it is an error or another text: no panic gets out, and memory stays flat.
#[test]
fn damaged_archives_never_panic() {
    let whole = archive(&[("a.csv", b"ts,price\n1,2\n"), ("folder/", b""), ("b.csv", &b"3,4\n".repeat(100))]);
    let mut random = 1_u64;
    let mut next = move || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize
    };
    let (mut told, mut read_all) = (0, 0);
    for _ in 0..100_000 {
        let mut bytes = whole.clone();
        for _ in 0..1 + next() % 4 {
            let at = next() % bytes.len();
            match next() % 4 {
                0 => bytes[at] = next() as u8,
                1 => bytes[at] ^= 1 << (next() % 8),
                2 => bytes.truncate(at.max(4)),
                _ => {
                    let value = [0, 0xff, 0x7f, 0x80][next() % 4];
                    let end = (at + 4).min(bytes.len());
                    bytes[at..end].fill(value);
                }
            }
        }
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let mut text = Vec::new();
        match Members::open(Path::new("a.zip"), file, None).map(|members| members.take(1 << 20).read_to_end(&mut text))
        {
            Ok(Ok(_)) => read_all += 1,
            Ok(Err(_)) | Err(_) => told += 1,
        }
        assert!(text.len() <= 1 << 20);
    }
    assert!(told > 1000 && read_all > 1000, "{told} told, {read_all} read");
}
