//! Just enough of DER (X.690).

/// An element of DER.
pub(super) fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len().to_be_bytes();
    let length: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let mut element = vec![tag];
    if content.len() < 0x80 {
        element.push(u8::try_from(content.len()).unwrap());
    } else {
        element.push(0x80 | u8::try_from(length.len()).unwrap());
        element.extend(length);
    }
    element.extend(content);
    element
}

/// How many bytes the head of the first element has, and its content.
fn head(bytes: &[u8]) -> (usize, usize) {
    match usize::from(bytes[1]) {
        short if short < 0x80 => (2, short),
        long => {
            let length = &bytes[2..2 + (long & 0x7f)];
            let length = length
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            (2 + (long & 0x7f), length)
        }
    }
}

/// The first element.
pub(super) fn first(bytes: &[u8]) -> &[u8] {
    let (head, content) = head(bytes);
    &bytes[..head + content]
}

/// What is in the first element.
pub(super) fn inner(bytes: &[u8]) -> &[u8] {
    let (head, content) = head(bytes);
    &bytes[head..head + content]
}
