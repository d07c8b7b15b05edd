//! Frames of HTTP/2, by hand (RFC 9113), for callers who do not play by the rules.

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
/// `CANCEL`, for [`RST_STREAM`].
pub(crate) const CANCEL: [u8; 4] = [0, 0, 0, 8];

/// A frame. `payload` is shorter than 16 KiB.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// What every connection begins with: the preface, and settings without wishes.
pub(crate) fn beginning() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(SETTINGS, 0, 0, &[])[..]].concat()
}

/// The headers of a call.
pub(crate) fn call(path: &str, authorization: &str) -> Vec<u8> {
    // `:method POST` and `:scheme http` of the static table, then fields that are not indexed (RFC 7541, section 6.2.2).
    let mut block = vec![0x83, 0x86];
    for (name, value) in [
        (":path", path),
        (":authority", "signet"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("authorization", authorization),
    ] {
        block.push(0);
        for text in [name, value] {
            let length = text.len();
            if length < 127 {
                block.push(u8::try_from(length).unwrap());
            } else {
                // Long enough for every text of these tests.
                let rest = length - 127;
                block.extend([127, 0x80 | u8::try_from(rest % 128).unwrap(), u8::try_from(rest / 128).unwrap()]);
            }
            block.extend(text.as_bytes());
        }
    }
    block
}
