//! Tool calls one after another, where their fragments may come interleaved.

use crate::exchange::Text;

/// One tool call of a stream.
#[derive(Debug)]
struct Call {
    tool: u32,
    id: Text<'static>,
    name: Text<'static>,
    custom: bool,
    /// Fragments that came before its turn.
    waiting: Text<'static>,
    progress: Progress,
    /// Anything of its arguments was handed on.
    begun: bool,
    /// The decoder said that it is whole.
    ended: bool,
}

/// What is to be written of tool calls.
#[derive(Debug)]
pub(super) enum Step<'s> {
    /// A call begins.
    Start { id: &'s Text<'static>, name: &'s Text<'static> },
    /// More of its arguments.
    Arguments(&'s Text<'s>),
    /// It is whole.
    End,
}

/// Puts tool calls in a row: one is open at a time. A fragment of another one waits until the open one is whole.
#[derive(Debug, Default)]
pub(super) struct ToolQueue {
    calls: Vec<Call>,
    /// Which of the calls is open; those before it are whole.
    at: usize,
    /// The one at `at` has been started.
    open: bool,
}

impl ToolQueue {
    /// A call begins. `write` gets what is to be written, with the index of the call.
    pub(super) fn start(
        &mut self,
        tool: u32,
        (id, name, custom): (&Text<'_>, &Text<'_>, bool),
        write: &mut dyn FnMut(usize, Step<'_>),
    ) {
        if self.find(tool).is_some() {
            return;
        }
        self.calls.push(Call {
            tool,
            id: id.clone().into_owned(),
            name: name.clone().into_owned(),
            custom,
            waiting: Text::default(),
            progress: Progress::default(),
            begun: false,
            ended: false,
        });
        self.advance(false, write);
    }

    /// More of a call's arguments.
    pub(super) fn arguments(
        &mut self,
        tool: u32,
        fragment: &Text<'_>,
        write: &mut dyn FnMut(usize, Step<'_>),
    ) {
        let Some(index) = self.find(tool) else { return };
        let (is_open, call) = (self.open && index == self.at, &mut self.calls[index]);
        if is_open && !call.custom {
            call.begun |= !fragment.is_empty();
            call.progress.feed(&fragment.decode());
            write(index, Step::Arguments(&fragment.borrow()));
        } else if index >= self.at {
            call.waiting.push(fragment);
        }
        self.advance(false, write);
    }

    /// A call is whole.
    pub(super) fn end(&mut self, tool: u32, write: &mut dyn FnMut(usize, Step<'_>)) {
        if let Some(index) = self.find(tool) {
            self.calls[index].ended = true;
            self.advance(false, write);
        }
    }

    /// Nothing more comes: all calls are whole.
    pub(super) fn finish(&mut self, write: &mut dyn FnMut(usize, Step<'_>)) {
        self.advance(true, write);
    }

    fn find(&self, tool: u32) -> Option<usize> {
        self.calls.iter().position(|call| call.tool == tool)
    }

    /// Ends calls that are whole where another one waits or nothing more comes, and begins the next.
    fn advance(&mut self, all: bool, write: &mut dyn FnMut(usize, Step<'_>)) {
        while self.at < self.calls.len() {
            let (index, another) = (self.at, self.at + 1 < self.calls.len());
            let call = &mut self.calls[index];
            if !self.open {
                self.open = true;
                write(index, Step::Start { id: &call.id, name: &call.name });
                if !call.custom {
                    call.flush(index, write);
                }
            }
            if !(all || call.ended || another && call.progress.is_whole()) {
                return;
            }
            call.close(index, write);
            self.open = false;
            self.at += 1;
        }
    }
}

impl Call {
    fn flush(&mut self, index: usize, write: &mut dyn FnMut(usize, Step<'_>)) {
        let waiting = std::mem::take(&mut self.waiting);
        if !waiting.is_empty() {
            self.begun = true;
            self.progress.feed(&waiting.decode());
            write(index, Step::Arguments(&waiting));
        }
    }

    /// The free text of a custom tool is written at its end, as an object; so is an empty object where nothing came.
    fn close(&mut self, index: usize, write: &mut dyn FnMut(usize, Step<'_>)) {
        if self.custom {
            let object = format!("{{\"input\":\"{}\"}}", String::from_utf8_lossy(self.waiting.as_escaped()));
            write(index, Step::Arguments(&Text::plain(&object)));
        } else if !self.begun {
            write(index, Step::Arguments(&Text::literal("{}")));
        }
        write(index, Step::End);
    }
}

/// How far an object has come that arrives in fragments.
#[derive(Debug, Default)]
struct Progress {
    depth: u32,
    in_string: bool,
    escaped: bool,
    begun: bool,
}

impl Progress {
    fn feed(&mut self, fragment: &str) {
        for byte in fragment.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => {
                    self.begun = true;
                    self.depth += 1;
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    fn is_whole(&self) -> bool {
        self.begun && self.depth == 0 && !self.in_string
    }
}
