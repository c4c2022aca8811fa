//! The reservations of one request, on all meters that hold for it.

use super::{MeterState, Reservation, Shortage};

/// Reservations that are held without allocating.
pub const INLINE: usize = 16;

/// Reservations in the order they were made. They end in [`Held::settle_all`].
#[derive(Debug, Default)]
#[must_use = "reservations that are not settled stand as they were estimated"]
pub struct Held {
    inline: [Option<Reservation>; INLINE],
    len: usize,
    more: Vec<Reservation>,
}

/// Which meter refused, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its place among those that were asked.
    pub index: usize,
    /// Why.
    pub shortage: Shortage,
}

impl Held {
    /// No reservations.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Reserves on every meter its amount, or on none, in addition to what is held. A meter must not be among those that are
    /// held or asked already: it would count twice. In the moment until what the first ones granted is given back another
    /// request can be refused by it, and none can be admitted.
    ///
    /// The first [`INLINE`] reservations of a request need no memory; further ones allocate.
    ///
    /// # Errors
    /// The first meter that refused.
    #[inline]
    pub fn reserve_all<'m, M>(&mut self, meters: M, wall_ms: u64, mono_ns: u64) -> Result<(), Refused>
    where
        M: Iterator<Item = (&'m MeterState, i64)> + Clone,
    {
        let first = self.len;
        for (index, (meter, amount)) in meters.clone().enumerate() {
            match meter.reserve(amount, wall_ms, mono_ns) {
                Ok(reservation) => self.push(reservation),
                Err(shortage) => {
                    self.undo(meters.take(index), first, mono_ns);
                    return Err(Refused { index, shortage });
                }
            }
        }
        Ok(())
    }

    /// Settles every reservation with what was used: the meters in the order in which they were reserved, over all calls.
    #[inline]
    pub fn settle_all<'m, M>(&mut self, meters: M, mono_ns: u64)
    where
        M: Iterator<Item = (&'m MeterState, i64)>,
    {
        self.settle_from(0, meters, mono_ns);
        debug_assert!(self.is_empty(), "a reservation without its meter");
    }

    #[cold]
    fn undo<'m, M>(&mut self, meters: M, first: usize, mono_ns: u64)
    where
        M: Iterator<Item = (&'m MeterState, i64)>,
    {
        self.settle_from(first, meters.map(|(meter, _)| (meter, 0)), mono_ns);
    }

    #[inline]
    fn settle_from<'m, M>(&mut self, first: usize, meters: M, mono_ns: u64)
    where
        M: Iterator<Item = (&'m MeterState, i64)>,
    {
        let Self { inline, len, more } = self;
        let spilled = more.len();
        let tail = more.drain(first.saturating_sub(INLINE).min(spilled)..);
        let held = inline.iter_mut().take(*len).skip(first).filter_map(Option::take).chain(tail);
        let settled = meters.zip(held).map(|((meter, actual), r)| meter.settle(r, actual, mono_ns)).count();
        *len -= settled;
    }

    #[inline]
    fn push(&mut self, reservation: Reservation) {
        match self.inline.get_mut(self.len) {
            Some(place) => *place = Some(reservation),
            None => self.more.push(reservation),
        }
        self.len += 1;
    }
}
