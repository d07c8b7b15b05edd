//! Text in bodies.

/// Some text, unless there is none or it is empty: client libraries send an empty one for what they were not given.
pub(super) fn filled(text: impl Into<Option<String>>) -> Option<String> {
    text.into().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_text_is_none() {
        assert_eq!(filled("a".to_owned()), Some("a".to_owned()));
        assert_eq!(filled(Some("a".to_owned())), Some("a".to_owned()));
        assert_eq!(filled(String::new()), None);
        assert_eq!(filled(Some(String::new())), None);
        assert_eq!(filled(None), None);
    }
}
