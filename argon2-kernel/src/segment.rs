//! Which block is made from which (RFC 9106, 3.4).
//!
//! A lane is cut into four segments. Within one, block by block: the block before and a reference block, from anywhere
//! in what is there already, make the next one. The reference follows either from the position, then it is known long
//! before, or from the first word of the block before, then a path that computes this word first has the memory on its
//! way while it computes the others.

use crate::{
    block::{Block, WORDS},
    parameters::{Input, Variant, Version},
    path::Path,
    prefetch::prefetch,
};

/// Slices of a lane.
pub(crate) const SLICES: usize = 4;

/// How the memory is laid out: lane after lane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) lanes: usize,
    pub(crate) lane_blocks: usize,
    segment_blocks: usize,
    passes: usize,
    variant: Variant,
    version: Version,
}

impl Layout {
    pub(crate) fn of(input: &Input<'_>) -> Self {
        let [memory_kib, passes, lanes] =
            [input.parameters.memory_kib(), input.parameters.passes(), input.parameters.lanes()]
                .map(|number| usize::try_from(number).expect("an address has 32 bits at least"));
        let segment_blocks = memory_kib / (SLICES * lanes);
        let (variant, version) = (input.variant, input.version);
        Self { lanes, lane_blocks: SLICES * segment_blocks, segment_blocks, passes, variant, version }
    }

    /// Blocks in all (m').
    pub(crate) const fn blocks(&self) -> usize {
        self.lanes * self.lane_blocks
    }

    /// All segments, in an order in which each finds what it refers to.
    pub(crate) fn segments(self) -> impl Iterator<Item = Segment> {
        let slices = (0..self.passes).flat_map(|pass| (0..SLICES).map(move |slice| (pass, slice)));
        slices
            .flat_map(move |(pass, slice)| (0..self.lanes).map(move |lane| Segment { layout: self, pass, slice, lane }))
    }
}

/// A quarter of a lane in one pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    layout: Layout,
    pass: usize,
    slice: usize,
    lane: usize,
}

/// One block to be made.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    /// Index of the block before.
    pub(crate) previous: usize,
    /// Index of the reference block.
    pub(crate) reference: usize,
    /// Index of the block to be made.
    pub(crate) current: usize,
    /// Whether what is there is to be combined with, not replaced.
    pub(crate) xor: bool,
    /// How to find the reference block of the step after this.
    pub(crate) next: Next,
}

/// The reference block of the step after.
#[derive(Clone, Copy)]
pub(crate) enum Next {
    /// Known by its position.
    Known(usize),
    /// Depends on the first word of the block that is being made.
    ByWord(Area),
}

impl Next {
    /// The index of the reference block.
    #[inline(always)]
    pub(crate) fn index(&self, first_word: u64) -> usize {
        match self {
            Self::Known(index) => *index,
            Self::ByWord(area) => area.index(first_word),
        }
    }
}

/// The blocks of which one may be referred to at some position (RFC 9106, 3.4.1.3 and 3.4.2).
#[derive(Clone, Copy)]
pub(crate) struct Area {
    lanes: usize,
    lane_blocks: usize,
    /// The lane that refers.
    lane: usize,
    /// In the first slice of the first pass no other lane is there to be referred to.
    own_lane_only: bool,
    /// Where the area begins in its lane.
    start: usize,
    /// How many blocks it has in the lane that refers.
    own: usize,
    /// How many in another.
    other: usize,
}

impl Area {
    /// Maps J1 (low half) and J2 (high half) to a block.
    #[inline(always)]
    const fn index(&self, word: u64) -> usize {
        let (j1, j2) = (word & 0xffff_ffff, word >> 32);
        let lane = if self.own_lane_only || self.lanes == 1 { self.lane } else { index(j2 % offset(self.lanes)) };
        let area = if lane == self.lane { self.own } else { self.other };
        let x = (j1 * j1) >> 32;
        let y = (offset(area) * x) >> 32;
        let position = self.start + area - 1 - index(y);
        let position = if position >= self.lane_blocks { position - self.lane_blocks } else { position };
        lane * self.lane_blocks + position
    }
}

/// An index as a number to calculate with.
#[inline(always)]
const fn offset(index: usize) -> u64 {
    index as u64
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "below a number of blocks, which was an index before")]
const fn index(offset: u64) -> usize {
    offset as usize
}

impl Segment {
    /// Makes the blocks of the segment.
    pub(crate) fn fill(&self, path: Path, memory: &mut [Block]) {
        // The first two blocks of a lane come from H_0.
        let first = if self.pass == 0 && self.slice == 0 { 2 } else { 0 };
        let end = self.layout.segment_blocks;
        if !self.by_position() {
            return path.fill(memory, &Run { segment: *self, from: first, to: end, words: None });
        }
        for chunk in 0..end.div_ceil(WORDS) {
            let words = self.position_words(path, chunk);
            let (from, to) = (first.max(chunk * WORDS), end.min((chunk + 1) * WORDS));
            path.fill(memory, &Run { segment: *self, from, to, words: Some(&words) });
        }
    }

    const fn by_position(&self) -> bool {
        match self.layout.variant {
            Variant::D => false,
            Variant::I => true,
            Variant::Id => self.pass == 0 && self.slice < SLICES / 2,
        }
    }

    /// J1 and J2 of 128 positions (RFC 9106, 3.4.1.2).
    fn position_words(&self, path: Path, chunk: usize) -> Block {
        let Layout { passes, variant, .. } = self.layout;
        let position = [self.pass, self.lane, self.slice, self.layout.blocks(), passes].map(offset);
        let mut input = Block::ZERO;
        for (number, value) in position.into_iter().chain([variant.number().into(), offset(chunk) + 1]).enumerate() {
            input.set(number, value);
        }
        path.compress(&Block::ZERO, &path.compress(&Block::ZERO, &input))
    }
}

/// Blocks of a segment that are made in one go.
pub(crate) struct Run<'a> {
    segment: Segment,
    /// First and last position in the segment; the last is not part of it.
    from: usize,
    to: usize,
    /// Where the references follow from the position: the words of the 128 positions around.
    words: Option<&'a Block>,
}

impl Run<'_> {
    /// Index of the block before the first that is to be made.
    pub(crate) const fn previous(&self) -> usize {
        let layout = &self.segment.layout;
        let in_lane = self.segment.slice * layout.segment_blocks + self.from;
        let before = if in_lane == 0 { layout.lane_blocks } else { in_lane } - 1;
        self.segment.lane * layout.lane_blocks + before
    }

    /// Calls `step` for each block, in order. It makes the block and returns what [`Next::index`] says of its first
    /// word.
    #[inline(always)]
    pub(crate) fn walk(&self, memory: &mut [Block], mut step: impl FnMut(&mut [Block], Step) -> usize) {
        let Segment { layout, pass, slice, lane } = self.segment;
        let start = lane * layout.lane_blocks + slice * layout.segment_blocks;
        let xor = pass > 0 && layout.version == Version::V0x13;
        let mut previous = self.previous();
        let mut reference = self.next(self.from).index(memory[previous].0[0]);
        for at in self.from..self.to {
            let current = start + at;
            let next = if at + 1 < self.to { self.next(at + 1) } else { Next::Known(current) };
            // To be written, and read as well from the second pass on.
            prefetch(memory.as_ptr().wrapping_add(current + 1));
            if let Next::Known(index) = next {
                prefetch(&raw const memory[index]);
            }
            reference = step(memory, Step { previous, reference, current, xor, next });
            previous = current;
        }
    }

    /// The reference block of a position.
    #[inline(always)]
    const fn next(&self, at: usize) -> Next {
        let area = self.area(at);
        match self.words {
            Some(words) => Next::Known(area.index(words.get(at % WORDS))),
            None => Next::ByWord(area),
        }
    }

    /// The blocks that a position may refer to.
    #[inline(always)]
    const fn area(&self, at: usize) -> Area {
        let Segment { layout: Layout { lanes, lane_blocks, segment_blocks, .. }, pass, slice, lane } = self.segment;
        let before = if pass == 0 { slice * segment_blocks } else { lane_blocks - segment_blocks };
        let start = if pass == 0 || slice == SLICES - 1 { 0 } else { (slice + 1) * segment_blocks };
        let own_lane_only = pass == 0 && slice == 0;
        // The block before is out of the question: it is combined anyway.
        let other = if at == 0 { before.saturating_sub(1) } else { before };
        Area { lanes, lane_blocks, lane, own_lane_only, start, own: before + at - 1, other }
    }
}
