//! Usage records.

use sluice_types::{ErrorKind, FIELDS, FieldKind};

/// A usage record by field name.
#[derive(Debug)]
pub struct Record(pub Vec<u8>);

impl Record {
    pub fn get(&self, name: &str) -> u64 {
        let field = FIELDS.iter().find(|field| field.name == name).unwrap();
        let width = match field.kind {
            FieldKind::U64 | FieldKind::I64 => 8,
            FieldKind::U32 => 4,
            FieldKind::U16 => 2,
            _ => 1,
        };
        let mut bytes = [0; 8];
        bytes[..width].copy_from_slice(&self.0[field.offset..field.offset + width]);
        u64::from_le_bytes(bytes)
    }

    pub fn error(&self) -> Option<ErrorKind> {
        ErrorKind::ALL.into_iter().find(|kind| *kind as u64 == self.get("error"))
    }

    /// Input and output tokens.
    pub fn tokens(&self) -> (u64, u64) {
        (self.get("input_tokens"), self.get("output_tokens"))
    }

    /// The request's id as it is sent in `x-sluice-request-id`.
    pub fn id(&self) -> String {
        self.0[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
