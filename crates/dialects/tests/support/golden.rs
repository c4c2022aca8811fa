//! What each case becomes in another dialect, written down once and compared ever after. `UPDATE_GOLDEN=1` writes it anew;
//! the difference is to be read before it is committed.

use std::fs;

use serde_json::{Map, Value, json};

use super::cases::{OwnFrame, folder};

/// The file of one case between a client's dialect and a provider's.
#[derive(Debug, Default)]
pub(crate) struct Golden {
    members: Map<String, Value>,
}

fn parsed(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| json!(String::from_utf8_lossy(body)))
}

impl Golden {
    /// What the provider gets, or why it cannot be asked.
    pub(crate) fn request(&mut self, body: Result<Vec<u8>, String>, dropped: Vec<String>) {
        match body {
            Ok(body) => self.members.insert("request".into(), parsed(&body)),
            Err(why) => self.members.insert("refused".into(), json!(why)),
        };
        self.members.insert("dropped".into(), json!(dropped));
    }

    /// What the client gets.
    pub(crate) fn answer(&mut self, body: &[u8]) {
        self.members.insert("answer".into(), parsed(body));
    }

    /// The client's stream, a line for each frame.
    pub(crate) fn stream(&mut self, frames: &[OwnFrame]) {
        let line = |frame: &OwnFrame| {
            let data = String::from_utf8_lossy(&frame.data).into_owned();
            match &frame.name {
                Some(name) => format!("{} {data}", String::from_utf8_lossy(name)),
                None => data,
            }
        };
        self.members.insert("stream".into(), frames.iter().map(line).collect());
    }

    /// The client's error.
    pub(crate) fn error(&mut self, body: &[u8]) {
        self.members.insert("error".into(), parsed(body));
    }

    /// Compares it with the stored one, or stores it. Says what is wrong.
    pub(crate) fn check(&self, client: &str, provider: &str, case: &str) -> Option<String> {
        let path = folder("golden").join(client).join(provider).join(format!("{case}.json"));
        let mut text = serde_json::to_string_pretty(&self.members).expect("a tree can be written");
        text.push('\n');
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder that can be made");
            fs::write(&path, text).expect("a file that can be written");
            return None;
        }
        let stored = fs::read_to_string(&path).unwrap_or_default();
        (stored != text).then(|| {
            format!("{}: not as stored; see UPDATE_GOLDEN in tests/support/golden.rs", path.display())
        })
    }
}
