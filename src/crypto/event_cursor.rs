//! Where a reader of the event stream goes on: opaque, so that nobody makes one up or counts by it what happens in
//! other projects, and bound to the event that stands there and to whose events are read. That something has happened
//! there it does not hide: equal places have equal cursors, and the cursor of who has read everything changes with
//! whatever is recorded.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use crate::domain::{event::EventPlace, id::EventId};

const TAG_BYTES: usize = 16;
const POSITION_BYTES: usize = size_of::<i64>();

/// Makes and opens cursors. The position is hidden under its own tag (a synthetic IV, as in RFC 5297), so equal places
/// have equal cursors and no two places share a key stream.
#[derive(Debug)]
pub struct CursorKey(hmac::Key);

/// A cursor that was presented. Whether it is one shows only beside the event at its place.
#[derive(Clone, Copy, Debug)]
pub struct PresentedCursor {
    tag: [u8; TAG_BYTES],
    /// Where it says that the reader goes on.
    pub position: i64,
}

impl CursorKey {
    /// The key of a stream.
    pub fn new(key: &[u8; 16]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The cursor behind a place; `scope` is the project whose events are read, nil for all.
    pub fn write(&self, scope: Uuid, place: EventPlace) -> String {
        let tag = self.tag(scope, place);
        let hidden = self.hide(scope, tag, place.position.to_be_bytes());
        URL_SAFE_NO_PAD.encode([&tag[..], &hidden].concat())
    }

    /// Reads a cursor; none if it does not have the form of one.
    pub fn read(&self, scope: Uuid, text: &str) -> Option<PresentedCursor> {
        // Before it is decoded: what is longer is none.
        if text.len() > (TAG_BYTES + POSITION_BYTES) * 2 {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (tag, hidden) = bytes.split_first_chunk()?;
        let position = self.hide(scope, *tag, hidden.try_into().ok()?);
        Some(PresentedCursor { tag: *tag, position: i64::from_be_bytes(position) })
    }

    /// True if the cursor was made for this event at its place.
    pub fn is_for(&self, scope: Uuid, cursor: PresentedCursor, id: EventId) -> bool {
        self.tag(scope, EventPlace { position: cursor.position, id }).ct_eq(&cursor.tag).into()
    }

    fn tag(&self, scope: Uuid, place: EventPlace) -> [u8; TAG_BYTES] {
        self.sign(b"tag", scope, &[&place.position.to_be_bytes()[..], Uuid::from(place.id).as_bytes()].concat())
    }

    fn hide(&self, scope: Uuid, tag: [u8; TAG_BYTES], mut position: [u8; POSITION_BYTES]) -> [u8; POSITION_BYTES] {
        let stream: [u8; POSITION_BYTES] = self.sign(b"hide", scope, &tag);
        for (byte, with) in position.iter_mut().zip(stream) {
            *byte ^= with;
        }
        position
    }

    fn sign<const N: usize>(&self, purpose: &[u8], scope: Uuid, text: &[u8]) -> [u8; N] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(purpose);
        context.update(scope.as_bytes());
        context.update(text);
        let mut signed = [0; N];
        signed.copy_from_slice(&context.sign().as_ref()[..N]);
        signed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Uuid = Uuid::nil();

    fn place(position: i64) -> EventPlace {
        EventPlace { position, id: Uuid::from_u128(7).into() }
    }

    #[test]
    fn a_cursor_names_its_place_and_is_for_the_event_there_alone() {
        let key = CursorKey::new(&[1; 16]);
        let cursor = key.read(ALL, &key.write(ALL, place(41))).unwrap();
        assert_eq!(cursor.position, 41);
        assert!(key.is_for(ALL, cursor, place(41).id));
        assert!(!key.is_for(ALL, cursor, Uuid::from_u128(8).into()));
    }

    #[test]
    fn a_cursor_is_worthless_in_another_scope_and_under_another_key() {
        let (key, project) = (CursorKey::new(&[1; 16]), Uuid::from_u128(9));
        let text = key.write(project, place(41));
        for (key, scope) in [(&key, ALL), (&CursorKey::new(&[2; 16]), project)] {
            let cursor = key.read(scope, &text).unwrap();
            assert_ne!(cursor.position, 41);
            assert!(!key.is_for(scope, cursor, place(41).id));
        }
    }

    #[test]
    fn a_cursor_that_was_changed_is_none() {
        let key = CursorKey::new(&[1; 16]);
        let text = key.write(ALL, place(41));
        let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
        for index in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[index] ^= 1;
            let cursor = key.read(ALL, &URL_SAFE_NO_PAD.encode(bytes)).unwrap();
            assert!(!key.is_for(ALL, cursor, place(41).id), "byte {index}");
        }
        for text in ["", "AAAA", "not a cursor", &format!("{text}AAAA"), &"A".repeat(1000)] {
            assert!(key.read(ALL, text).is_none(), "{text}");
        }
    }

    #[test]
    fn neighbouring_places_do_not_look_alike() {
        let key = CursorKey::new(&[1; 16]);
        let hidden = |position| URL_SAFE_NO_PAD.decode(key.write(ALL, place(position))).unwrap()[TAG_BYTES..].to_vec();
        assert_ne!(hidden(41)[..7], hidden(42)[..7], "the high bytes are hidden, too");
    }
}
