use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::api;
use crate::options::DemoOptions;
use crate::prng::SplitMix64;
use crate::provider::Counters;
use crate::reply::Reply;

/// Answers kept per thread. A benchmark sends one or two distinct requests at a time.
const MEMO_ENTRIES: usize = 8;
/// Longest request that is kept.
const MEMO_MAX_BODY_BYTES: usize = 256 * 1024;

/// One thread's view of the provider: what it answers and at what pace.
pub(crate) struct Service {
    options: DemoOptions,
    created: u64,
    prng: RefCell<SplitMix64>,
    memo: RefCell<Memo>,
    pub(crate) counters: Arc<Counters>,
}

impl Service {
    pub(crate) fn new(options: DemoOptions, thread: u64, counters: Arc<Counters>) -> Self {
        let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let prng = RefCell::new(SplitMix64::new(options.seed.wrapping_add(thread)));
        Self { options, created, prng, memo: RefCell::default(), counters }
    }

    /// Wait before the first byte of an answer.
    pub(crate) fn delay(&self) -> Duration {
        Duration::from_millis(u64::from(self.options.delay_ms))
    }

    /// Wait between the frames of an answer.
    pub(crate) fn gap(&self) -> Duration {
        Duration::from_millis(u64::from(self.options.chunk_gap_ms))
    }

    /// The answer to a request, rendered now or kept from an equal one before.
    pub(crate) fn answer(&self, method: &str, path: &str, body: &[u8]) -> Rc<Reply> {
        if self.fails() {
            return Rc::new(api::injected_error());
        }
        if let Some(reply) = self.memo.borrow().find(method, path, body) {
            return reply;
        }
        let reply = Rc::new(api::answer(method, path, body, &self.options, self.created));
        self.memo.borrow_mut().keep(method, path, body, &reply);
        reply
    }

    fn fails(&self) -> bool {
        self.options.error_rate > 0.0 && self.prng.borrow_mut().next_unit() < self.options.error_rate
    }
}

/// The last few requests and their answers. A comparison of bytes costs far less than parsing them.
#[derive(Default)]
struct Memo {
    entries: Vec<Entry>,
    next: usize,
}

struct Entry {
    method: String,
    path: String,
    body: Vec<u8>,
    reply: Rc<Reply>,
}

impl Memo {
    fn find(&self, method: &str, path: &str, body: &[u8]) -> Option<Rc<Reply>> {
        let equal = |entry: &&Entry| entry.body == body && entry.path == path && entry.method == method;
        self.entries.iter().find(equal).map(|entry| Rc::clone(&entry.reply))
    }

    fn keep(&mut self, method: &str, path: &str, body: &[u8], reply: &Rc<Reply>) {
        if body.len() > MEMO_MAX_BODY_BYTES {
            return;
        }
        let entry = Entry {
            method: method.to_owned(),
            path: path.to_owned(),
            body: body.to_vec(),
            reply: Rc::clone(reply),
        };
        if self.entries.len() < MEMO_ENTRIES {
            self.entries.push(entry);
        } else {
            self.entries[self.next] = entry;
            self.next = (self.next + 1) % MEMO_ENTRIES;
        }
    }
}
