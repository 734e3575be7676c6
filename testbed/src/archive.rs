//! Tar archives that come out the same, byte by byte, whenever their content is the same.

use std::io::Write as _;

use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

/// One entry of an archive.
pub(crate) enum Entry<'a> {
    /// A path, its permission bits and its content.
    File(&'a str, u32, &'a [u8]),
    /// A path and its permission bits.
    Folder(&'a str, u32),
}

/// A tar of these entries, in the order given, owned by root and without times.
pub(crate) fn tar(entries: &[Entry<'_>]) -> anyhow::Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for entry in entries {
        let (kind, path, mode, content) = match *entry {
            Entry::File(path, mode, content) => (EntryType::Regular, path, mode, content),
            Entry::Folder(path, mode) => (EntryType::Directory, path, mode, &[][..]),
        };
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(u64::try_from(content.len())?);
        builder.append_data(&mut header, path, content)?;
    }
    Ok(builder.into_inner()?)
}

/// Gzip without a time or a name in its header.
pub(crate) fn gzip(bytes: &[u8], level: Compression) -> anyhow::Result<Vec<u8>> {
    let mut encoder = GzBuilder::new()
        .mtime(0)
        .write(Vec::with_capacity(bytes.len()), level);
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}
