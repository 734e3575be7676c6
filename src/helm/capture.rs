//! What a program said, kept within bounds: the beginning and the end.
//!
//! Pure. It never grows past its bound, however much is said.

use std::collections::VecDeque;

/// Keeps the first `head` and the last `tail` bytes of a stream.
#[derive(Debug)]
pub(crate) struct Capture {
    head: Vec<u8>,
    head_max: usize,
    tail: VecDeque<u8>,
    tail_max: usize,
    lost: u64,
}

impl Capture {
    /// A capture of at most `head` + `tail` bytes.
    pub(crate) const fn new(head: usize, tail: usize) -> Self {
        Self {
            head: Vec::new(),
            head_max: head,
            tail: VecDeque::new(),
            tail_max: tail,
            lost: 0,
        }
    }

    /// Takes what was said next.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let room = self.head_max - self.head.len();
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(first);
        let skipped = rest.len().saturating_sub(self.tail_max);
        let rest = &rest[skipped..];
        let over = (self.tail.len() + rest.len()).saturating_sub(self.tail_max);
        self.tail.drain(..over);
        self.tail.extend(rest);
        self.lost += (skipped + over) as u64;
    }

    /// How many bytes in the middle were dropped.
    pub(crate) const fn lost(&self) -> u64 {
        self.lost
    }

    /// The text; what is not UTF-8 is replaced, and a gap is told.
    pub(crate) fn text(self) -> String {
        let mut bytes = self.head;
        if self.lost > 0 {
            bytes.extend_from_slice(format!("\n… {} bytes left out …\n", self.lost).as_bytes());
        }
        bytes.extend(self.tail);
        String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::Capture;

    #[test]
    fn both_ends_are_kept() {
        for (pieces, text, lost) in [
            (vec!["abc"], "abc", 0),
            (vec!["abcd", "efg"], "abcdefg", 0),
            (vec!["abcdefgh"], "abcd\n… 1 bytes left out …\nfgh", 1),
            (
                vec!["ab", "cdef", "ghi", "j"],
                "abcd\n… 3 bytes left out …\nhij",
                3,
            ),
        ] {
            let mut capture = Capture::new(4, 3);
            for piece in &pieces {
                capture.push(piece.as_bytes());
            }
            assert_eq!(capture.lost(), lost, "{pieces:?}");
            assert_eq!(capture.text(), text, "{pieces:?}");
        }
    }

    #[test]
    fn what_is_not_text_does_not_fail() {
        let mut capture = Capture::new(10, 0);
        capture.push(b"a\xffb");
        assert_eq!(capture.text(), "a\u{fffd}b");
    }
}
