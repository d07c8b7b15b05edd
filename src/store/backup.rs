//! A copy of a SQLite database that is in use.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{self, Path, PathBuf},
};

use sea_orm::{ConnectionTrait as _, Database, DbBackend, Statement};

use super::{DatabaseSettings, Store, StoreError};

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

/// The files of a copy that is being made. What is not kept is removed.
struct Target {
    /// Empty until the copy is whole: it holds the name.
    file: PathBuf,
    partial: PathBuf,
    is_kept: bool,
}

impl Store {
    /// Copies a SQLite database, as it is at one moment, to a new file that only its owner may read. The service goes on
    /// meanwhile, and writes. Whatever ends this early, the file never holds half a copy. Gives its size in bytes.
    pub async fn back_up(settings: &DatabaseSettings, file: &Path) -> Result<u64, BackupError> {
        let source = Database::connect(settings.options(1, false)).await;
        let source = source.map_err(|error| BackupError::Connect(error.into()))?;
        let target = Target::claim(file)?;
        // SQLite writes into an empty file, too, and so keeps its mode.
        let copy = [target.partial.to_string_lossy().into_owned().into()];
        let copied = source.execute_raw(Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO ?", copy)).await;
        copied.map_err(|error| BackupError::Copy { file: target.file.clone(), source: error.into() })?;
        source.close().await.map_err(|error| BackupError::Connect(error.into()))?;
        target.keep()
    }
}

impl Target {
    fn claim(file: &Path) -> Result<Self, BackupError> {
        // SQLite would take `file:...` for a URI.
        let file = path::absolute(file).map_err(|source| BackupError::Write { file: file.to_owned(), source })?;
        if file.to_str().is_none() {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "the path is not UTF-8");
            return Err(BackupError::Write { file, source });
        }
        let mut partial = OsString::from(&file);
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        create(&file)?;
        if let Err(error) = create(&partial) {
            let _ = fs::remove_file(&file);
            return Err(error);
        }
        Ok(Self { file, partial, is_kept: false })
    }

    /// Puts the copy in its place, durably.
    fn keep(mut self) -> Result<u64, BackupError> {
        let bytes = self.replace().map_err(|source| BackupError::Write { file: self.file.clone(), source })?;
        self.is_kept = true;
        Ok(bytes)
    }

    fn replace(&self) -> io::Result<u64> {
        let copy = File::open(&self.partial)?;
        copy.sync_all()?;
        fs::rename(&self.partial, &self.file)?;
        // An absolute path of a file has a parent.
        File::open(self.file.parent().unwrap_or(Path::new("/")))?.sync_all()?;
        Ok(copy.metadata()?.len())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.is_kept {
            // Nothing can be done about what cannot be removed, and the error that led here matters more.
            let _ = fs::remove_file(&self.partial);
            let _ = fs::remove_file(&self.file);
        }
    }
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
