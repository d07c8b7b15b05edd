//! A new password: from standard input or a file, never from the command line.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read},
    path::PathBuf,
};

use anyhow::Context as _;
use zeroize::Zeroizing;

use crate::{
    cli::Usage,
    domain::password::{PASSWORD_BYTES_MAX, Password},
};

/// Where a new password is.
#[derive(clap::Args, Debug)]
#[group(multiple = false)]
pub(super) struct NewPasswordArgs {
    /// Read the password from standard input; a newline at its end is not part of it
    #[arg(long)]
    password_stdin: bool,
    /// Read the password from a file; a newline at its end is not part of it
    #[arg(long, value_name = "PATH")]
    password_file: Option<PathBuf>,
}

impl NewPasswordArgs {
    /// Reads the password, if there is to be one.
    pub(super) fn read(&self) -> anyhow::Result<Option<Password>> {
        if let Some(path) = &self.password_file {
            let open = File::open(path).and_then(read_from);
            let text = open.with_context(|| format!("--password-file: cannot read {}", path.display()))?;
            return parse(&text).map(Some);
        }
        if !self.password_stdin {
            return Ok(None);
        }
        if io::stdin().is_terminal() {
            let hint = "--password-stdin: a terminal would show the password; pipe it in: pass show ada | signet ...";
            return Err(Usage(hint.to_owned()).into());
        }
        parse(&read_from(io::stdin().lock()).context("--password-stdin: cannot read standard input")?).map(Some)
    }
}

/// A little more than the longest password, so that a longer one is refused and not cut.
fn read_from(source: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let limit = PASSWORD_BYTES_MAX + 3;
    // Of the full size from the start: growing would leave copies of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit + 1));
    source.take(limit as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> anyhow::Result<Password> {
    let refuse = |problem: &dyn std::fmt::Display| Usage(format!("the password {problem}"));
    let text = std::str::from_utf8(bytes).map_err(|_| refuse(&"must be text in UTF-8"))?;
    let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    Ok(Password::parse(text).map_err(|error| refuse(&error))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> anyhow::Result<Password> {
        parse(&read_from(bytes)?)
    }

    #[test]
    fn one_newline_at_the_end_is_not_part_of_the_password() {
        for (bytes, password) in
            [("p w", "p w"), ("p w\n", "p w"), ("p w\r\n", "p w"), (" p\n\n", " p\n"), ("p\r", "p\r")]
        {
            assert_eq!(read(bytes.as_bytes()).unwrap().expose_bytes(), password.as_bytes());
        }
    }

    #[test]
    fn what_cannot_be_a_password_is_refused_and_not_cut() {
        let longest = "p".repeat(PASSWORD_BYTES_MAX);
        assert!(read(format!("{longest}\r\n").as_bytes()).is_ok());
        for bytes in [b"".as_slice(), b"\n", b"\xff", format!("{longest}p").as_bytes(), &vec![b'p'; 5000]] {
            assert!(read(bytes).unwrap_err().is::<Usage>());
        }
    }
}
