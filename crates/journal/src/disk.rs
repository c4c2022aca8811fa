//! What the writer asks of a file system, so that tests can have one that fails.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// Makes files.
pub(crate) trait Disk: Send + 'static {
    /// A new file; one that is there is emptied, since no two parts of a run have the same name.
    fn create(&mut self, path: &Path) -> io::Result<Box<dyn Part>>;
}

/// A file that is only written at its end.
pub(crate) trait Part: Send {
    /// Writes all of the bytes in one call of the system where it takes them.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Cuts off what a failed write may have left behind.
    fn cut(&mut self, length: u64) -> io::Result<()>;
    /// What syncs the file from another thread.
    fn syncing(&self) -> Arc<dyn Fn() -> io::Result<()> + Send + Sync>;
}

/// The real one.
pub(crate) struct FileSystem;

impl Disk for FileSystem {
    fn create(&mut self, path: &Path) -> io::Result<Box<dyn Part>> {
        Ok(Box::new(RealPart(Arc::new(private().append(true).create(true).open(path).and_then(emptied)?))))
    }
}

fn emptied(file: File) -> io::Result<File> {
    file.set_len(0)?;
    Ok(file)
}

/// Options for a file that only its owner may read.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

struct RealPart(Arc<File>);

impl Part for RealPart {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        (&*self.0).write_all(bytes)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn syncing(&self) -> Arc<dyn Fn() -> io::Result<()> + Send + Sync> {
        let file = Arc::clone(&self.0);
        Arc::new(move || file.sync_data())
    }
}
