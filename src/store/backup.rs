//! A copy of a SQLite database that is in use.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{self, Path, PathBuf},
};

use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, DbBackend, Statement};

use super::{DatabaseSettings, Store, StoreError, trouble::Trouble};

/// Files of backups that were killed before their own had lost its name; more of them are somebody's to look at.
const PASSING_MAX: u32 = 100;

/// Why no copy was made. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database cannot be read.
    #[error("cannot read the database; check --database-url (SIGNET_DATABASE_URL)")]
    Connect(#[source] StoreError),
    /// The database is read, but not copied.
    #[error("cannot copy the database to {}", .file.display())]
    Copy {
        /// Where the copy was to go.
        file: PathBuf,
        /// Why.
        source: StoreError,
    },
    /// There is such a file already.
    #[error("{} is there already and is left as it is; name another file, or remove it", .file.display())]
    Exists {
        /// The file.
        file: PathBuf,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", .file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The files of a copy that is being made. Only a whole one gets the name: an empty file that a kill left behind would pass for a
/// database without anything in it.
struct Target {
    file: PathBuf,
    partial: Passing,
}

impl Store {
    /// Copies a SQLite database, as it is at one moment, to a new file that only its owner may read. The service goes on
    /// meanwhile, and writes. Whatever ends this early, the file never holds half a copy. Gives its size in bytes.
    pub async fn back_up(settings: &DatabaseSettings, file: &Path) -> Result<u64, BackupError> {
        let source = open(settings).await?;
        let target = Target::claim(file)?;
        copy(source, &target.partial.0, &target.file).await?;
        target.keep()
    }

    /// Copies a SQLite database, as [`Self::back_up`] does, to a file beside it that has lost its name when this returns: whatever ends
    /// the process then, it leaves nothing.
    pub async fn back_up_unnamed(settings: &DatabaseSettings) -> Result<File, BackupError> {
        let source = open(settings).await?;
        let passing = Passing::beside(&settings.sqlite_file().unwrap_or_default())?;
        copy(source, &passing.0, &passing.0).await?;
        File::open(&passing.0).map_err(|source| BackupError::Write { file: passing.0.clone(), source })
    }
}

async fn open(settings: &DatabaseSettings) -> Result<DatabaseConnection, BackupError> {
    let source = Database::connect(settings.options(1, false, &Trouble::default())).await;
    source.map_err(|error| BackupError::Connect(error.into()))
}

/// `file` is what the operator knows of it.
async fn copy(source: DatabaseConnection, to: &Path, file: &Path) -> Result<(), BackupError> {
    // SQLite writes into an empty file, too, and so keeps its mode.
    let to = [to.to_string_lossy().into_owned().into()];
    let copied = source.execute_raw(Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO ?", to)).await;
    copied.map_err(|error| BackupError::Copy { file: file.to_owned(), source: error.into() })?;
    source.close().await.map_err(|error| BackupError::Connect(error.into()))
}

/// The path of a file that is removed in any case.
struct Passing(PathBuf);

impl Passing {
    /// The directory of the database is the one that is known to take files and to have room for such, if any has.
    fn beside(database: &Path) -> Result<Self, BackupError> {
        let database = absolute(database)?;
        let mut number = 0;
        loop {
            let mut file = OsString::from(&database);
            file.push(format!(".backup-{number}"));
            let file = PathBuf::from(file);
            match create(&file) {
                Ok(()) => return Ok(Self(file)),
                // Another backup, or what is left of one that was killed.
                Err(BackupError::Exists { .. }) if number < PASSING_MAX => number += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        // Nothing can be done about what cannot be removed.
        let _ = fs::remove_file(&self.0);
    }
}

impl Target {
    fn claim(file: &Path) -> Result<Self, BackupError> {
        let file = absolute(file)?;
        if fs::symlink_metadata(&file).is_ok() {
            return Err(BackupError::Exists { file });
        }
        let mut partial = OsString::from(&file);
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        create(&partial)?;
        Ok(Self { file, partial: Passing(partial) })
    }

    /// Puts the copy in its place, durably.
    fn keep(self) -> Result<u64, BackupError> {
        self.name().map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => BackupError::Exists { file: self.file.clone() },
            _ => BackupError::Write { file: self.file.clone(), source },
        })
    }

    fn name(&self) -> io::Result<u64> {
        let copy = File::open(&self.partial.0)?;
        copy.sync_all()?;
        match fs::hard_link(&self.partial.0, &self.file) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
            // Not every file system has links.
            Err(_) => fs::rename(&self.partial.0, &self.file)?,
        }
        // An absolute path of a file has a parent.
        File::open(self.file.parent().unwrap_or(Path::new("/")))?.sync_all()?;
        Ok(copy.metadata()?.len())
    }
}

/// SQLite would take `file:...` for a URI, and takes UTF-8 only.
fn absolute(file: &Path) -> Result<PathBuf, BackupError> {
    let file = path::absolute(file).map_err(|source| BackupError::Write { file: file.to_owned(), source })?;
    if file.to_str().is_none() {
        let source = io::Error::new(io::ErrorKind::InvalidInput, "the path is not UTF-8");
        return Err(BackupError::Write { file, source });
    }
    Ok(file)
}

fn create(file: &Path) -> Result<(), BackupError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(BackupError::Exists { file: file.to_owned() })
        }
        Err(source) => Err(BackupError::Write { file: file.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_given_to_a_whole_copy_alone_and_never_taken_from_another_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("backup.db");
        let killed = Target::claim(&file).unwrap();
        assert!(!file.exists(), "what a kill leaves behind must not pass for a backup");
        fs::write(&killed.partial.0, "whole").unwrap();
        fs::write(&file, "of somebody else").unwrap();
        assert!(matches!(killed.keep(), Err(BackupError::Exists { .. })));
        assert_eq!(fs::read_to_string(&file).unwrap(), "of somebody else");
        assert!(matches!(Target::claim(&file), Err(BackupError::Exists { .. })));
        fs::remove_file(&file).unwrap();
        let target = Target::claim(&file).unwrap();
        fs::write(&target.partial.0, "whole").unwrap();
        assert_eq!(target.keep().unwrap(), 5);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "and nothing else is left");
    }
}
