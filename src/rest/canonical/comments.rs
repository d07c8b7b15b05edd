//! The comments of `proto/`, by what they are about.

use std::{collections::HashMap, sync::LazyLock};

use prost_reflect::FileDescriptor;

use super::binding::POOL;

/// Leading comments by file and path in its descriptor.
static COMMENTS: LazyLock<HashMap<(String, Vec<i32>), String>> = LazyLock::new(|| {
    let mut comments = HashMap::new();
    for file in POOL.files() {
        let proto = file.file_descriptor_proto();
        for location in proto.source_code_info.iter().flat_map(|info| &info.location) {
            if let Some(comment) = &location.leading_comments {
                comments.insert((file.name().to_owned(), location.path.clone()), unwrapped(comment));
            }
        }
    }
    comments
});

/// The comment at a path; empty without one.
pub(super) fn comment(file: &FileDescriptor, path: &[i32]) -> &'static str {
    COMMENTS.get(&(file.name().to_owned(), path.to_owned())).map_or("", String::as_str)
}

/// The first sentence.
pub(super) fn summary(comment: &str) -> &str {
    let first = comment.split("\n\n").next().unwrap_or_default();
    let end = first.find(". ").or_else(|| first.find("; "));
    end.map_or(first, |end| &first[..end]).trim_end_matches('.')
}

/// Lines of a paragraph are one.
fn unwrapped(comment: &str) -> String {
    let paragraphs = comment.trim().split("\n\n").map(|paragraph| {
        let lines: Vec<&str> = paragraph.lines().map(str::trim).collect();
        lines.join(" ")
    });
    // An empty line of a comment is a line with a blank.
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_found_and_its_first_sentence_is_the_summary() {
        let sign_in = POOL.get_message_by_name("auth.v1.SignOutRequest").unwrap();
        assert_eq!(comment(&sign_in.parent_file(), sign_in.path()), "Request of `SignOut`.");
        assert_eq!(summary("Signs in. As ever."), "Signs in");
        assert_eq!(summary("Checks; answers"), "Checks");
        assert_eq!(unwrapped(" a\n b\n\n c\n"), "a b\n\nc");
    }
}
