//! When a certificate ends, for an alert before it does.

use chrono::NaiveDateTime;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version of a certificate, which those of version 1 do not have.
const VERSION: u8 = 0xA0;

/// The end of the first certificate of a chain in PEM, in seconds since the Unix epoch. `None` for what is no certificate.
pub(super) fn expiry(pem: &[u8]) -> Option<i64> {
    let certificate = CertificateDer::from_pem_slice(pem).ok()?;
    not_after(&certificate)
}

/// Reads as far into a certificate as its validity (RFC 5280, section 4.1). That is all we want of it, and too little for a parser from
/// outside; rustls has checked the whole.
fn not_after(der: &[u8]) -> Option<i64> {
    let (certificate, _) = content(der, SEQUENCE)?;
    let (mut rest, _) = content(certificate, SEQUENCE)?;
    if *rest.first()? == VERSION {
        rest = value(rest)?.2;
    }
    // Serial number, algorithm and issuer.
    for _ in 0..3 {
        rest = value(rest)?.2;
    }
    let (validity, _) = content(rest, SEQUENCE)?;
    let (_, _, end) = value(validity)?;
    let (tag, text, _) = value(end)?;
    let text = std::str::from_utf8(text).ok()?;
    let whole = match tag {
        // Years from 50 on are of the last century (RFC 5280, section 4.1.2.5.1).
        UTC_TIME => format!("{}{text}", if text < "50" { "20" } else { "19" }),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    Some(NaiveDateTime::parse_from_str(&whole, "%Y%m%d%H%M%SZ").ok()?.and_utc().timestamp())
}

/// What is in the first value, if it is of that kind, and what follows it.
fn content(der: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, content, rest) = value(der)?;
    (tag == wanted).then_some((content, rest))
}

/// Kind and content of the first value in DER, and what follows it.
fn value(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match *first {
        short @ 0..=0x7F => (usize::from(short), rest),
        long @ 0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(long & 0x7F))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(year: i32) -> String {
        let mut params = CertificateParams::new(vec!["auth.internal".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 2, 3);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    #[test]
    fn the_end_of_a_certificate_is_read_in_both_forms() {
        // From 2050 on a certificate says it with four digits of the year.
        for (year, end) in [(2027, "2027-02-03T00:00:00Z"), (2061, "2061-02-03T00:00:00Z")] {
            let end = end.parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp();
            assert_eq!(expiry(certificate(year).as_bytes()), Some(end));
        }
    }

    #[test]
    fn what_is_cut_off_or_is_no_certificate_has_no_end() {
        let der = CertificateDer::from_pem_slice(certificate(2027).as_bytes()).unwrap();
        for length in 0..der.len() {
            assert_eq!(not_after(&der[..length]), None);
        }
        assert_eq!(expiry(b"nonsense"), None);
    }
}
