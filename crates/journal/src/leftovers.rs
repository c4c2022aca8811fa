//! What earlier runs left behind: their files are read as they are, over whatever is damaged, and deleted once the store
//! has what is in them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::frame::{FILE_HEADER_BYTES, FileHeader, Scan, is_boot_id};
use crate::queue::Batch;

/// Damaged files kept aside; the oldest go.
const MAX_DAMAGED_FILES: usize = 8;

/// Most that is read of one file. Ours end soon after 16 MiB.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// What was found wrong in the files of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Bytes at the ends of files without a whole frame: writes that were under way when the process or the machine died.
    pub cut_bytes: u64,
    /// Bytes with whole frames behind them that could not be read.
    pub damaged_bytes: u64,
    /// Names of the files that were kept aside for it.
    pub kept: Vec<String>,
}

/// The files of one run, by part.
#[derive(Debug, Default)]
struct Run {
    parts: BTreeMap<u32, LeftPart>,
}

#[derive(Debug)]
struct LeftPart {
    path: PathBuf,
    /// Sequence of the last frame, once the file was read.
    last_sequence: Option<u64>,
    cut: usize,
    damaged: usize,
}

/// A file in memory.
#[derive(Debug)]
struct Loaded {
    path: PathBuf,
    bytes: Vec<u8>,
    record_bytes: usize,
    frames: Vec<(u64, u32, Range<usize>)>,
}

/// Files of all earlier runs.
#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    runs: BTreeMap<String, Run>,
    loaded: Option<Loaded>,
}

impl Leftovers {
    /// Lists a directory; files without a frame are deleted at once.
    pub(crate) fn list(directory: &Path) -> io::Result<Self> {
        let mut found = Self::default();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            let Some((boot_id, part)) =
                path.file_name().and_then(|name| name.to_str()).and_then(parts_of_name)
            else {
                continue;
            };
            if fs::metadata(&path)?.len() <= FILE_HEADER_BYTES as u64 {
                fs::remove_file(&path)?;
                continue;
            }
            let left = LeftPart { path: path.clone(), last_sequence: None, cut: 0, damaged: 0 };
            found.runs.entry(boot_id.to_owned()).or_default().parts.insert(part, left);
        }
        Ok(found)
    }

    /// Boot ids of the runs, in the order in which they were last written to.
    pub(crate) fn boot_ids(&self) -> Vec<String> {
        let written = |run: &Run| {
            let times = run.parts.values().filter_map(|part| fs::metadata(&part.path).ok()?.modified().ok());
            times.max()
        };
        let mut ids: Vec<_> = self.runs.iter().map(|(id, run)| (written(run), id.clone())).collect();
        ids.sort();
        ids.into_iter().map(|(_, id)| id).collect()
    }

    /// The records of a run after a sequence, up to `max` unless a single frame has more; absent where there are no more.
    pub(crate) fn next(&mut self, boot_id: &str, after: u64, max: u32) -> io::Result<Option<Batch>> {
        let Some(run) = self.runs.get_mut(boot_id) else { return Ok(None) };
        for (number, part) in &mut run.parts {
            if part.last_sequence.is_some_and(|last| last <= after) {
                continue;
            }
            let loaded = match self.loaded.take().filter(|loaded| loaded.path == part.path) {
                Some(loaded) => loaded,
                None => load(part, boot_id, *number)?,
            };
            let batch = loaded.after(after, max);
            self.loaded = Some(loaded);
            if batch.is_some() {
                return Ok(batch);
            }
        }
        Ok(None)
    }

    /// Deletes the files of a run; damaged ones are kept aside.
    pub(crate) fn forget(&mut self, boot_id: &str) -> io::Result<Damage> {
        let mut damage = Damage::default();
        let Some(run) = self.runs.get(boot_id) else { return Ok(damage) };
        self.loaded = None;
        for part in run.parts.values() {
            damage.cut_bytes += part.cut as u64;
            damage.damaged_bytes += part.damaged as u64;
            if part.damaged == 0 {
                deleted(&part.path)?;
            } else {
                let aside = part.path.with_extension("damaged");
                fs::rename(&part.path, &aside)?;
                damage.kept.extend(aside.file_name().map(|name| name.to_string_lossy().into_owned()));
                prune_damaged(&aside)?;
            }
        }
        self.runs.remove(boot_id);
        Ok(damage)
    }
}

/// Deletes a file that may be gone already, from an attempt that failed half-way.
fn deleted(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

impl Loaded {
    fn after(&self, sequence: u64, max: u32) -> Option<Batch> {
        let mut batch = Batch { sequence, count: 0, record_bytes: self.record_bytes, records: Vec::new() };
        for (at, count, range) in self.frames.iter().filter(|(at, ..)| *at > sequence) {
            if batch.count > 0 && batch.count + count > max {
                break;
            }
            batch.sequence = *at;
            batch.count += count;
            batch.records.extend_from_slice(&self.bytes[range.clone()]);
        }
        (batch.count > 0).then_some(batch)
    }
}

fn load(part: &mut LeftPart, boot_id: &str, number: u32) -> io::Result<Loaded> {
    let mut bytes = Vec::new();
    fs::File::open(&part.path)?.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    let mut loaded = Loaded { path: part.path.clone(), bytes, record_bytes: 0, frames: Vec::new() };
    let header = FileHeader::read(&loaded.bytes);
    let Some(header) = header.filter(|header| header.boot_id == boot_id && header.part == number) else {
        part.damaged = loaded.bytes.len();
        part.last_sequence = Some(0);
        return Ok(loaded);
    };
    loaded.record_bytes = header.record_bytes;
    let mut scan = Scan::new(&loaded.bytes, header.record_bytes);
    let start = loaded.bytes.as_ptr() as usize;
    loaded.frames = scan
        .by_ref()
        .map(|frame| {
            let begin = frame.records.as_ptr() as usize - start;
            (frame.sequence, frame.count, begin..begin + frame.records.len())
        })
        .collect();
    (part.cut, part.damaged) = (scan.cut, scan.damaged);
    part.last_sequence = Some(loaded.frames.last().map_or(0, |(sequence, ..)| *sequence));
    Ok(loaded)
}

/// Boot id and part of a file's name.
fn parts_of_name(name: &str) -> Option<(&str, u32)> {
    let (boot_id, part) = name.strip_suffix(".journal")?.rsplit_once('-')?;
    is_boot_id(boot_id).then_some((boot_id, part.parse().ok()?))
}

fn prune_damaged(beside: &Path) -> io::Result<()> {
    let Some(directory) = beside.parent() else { return Ok(()) };
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|extension| extension == "damaged") {
            files.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    files.sort();
    let spare = files.len().saturating_sub(MAX_DAMAGED_FILES);
    files.iter().take(spare).try_for_each(|(_, path)| fs::remove_file(path))
}
