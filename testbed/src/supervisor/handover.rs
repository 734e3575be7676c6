//! Hands open files to the supervisor: the listeners that were opened in the host's network
//! namespace stay there, whatever namespace the process that accepts from them is in.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use anyhow::{Result, bail};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// The most files that are handed over.
const MOST: usize = 8;

/// Sends files, with one byte that they ride on.
pub(super) fn send(socket: &UnixStream, files: &[OwnedFd]) -> Result<()> {
    let borrowed: Vec<_> = files.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&borrowed)) {
        bail!("no space to hand {} files over", files.len());
    }
    sendmsg(
        socket,
        &[IoSlice::new(b"f")],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

/// Receives what [`send`] sent.
pub(super) fn receive(socket: &UnixStream) -> Result<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut byte)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut files = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            files.extend(received);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn files_arrive() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        let other = || OwnedFd::from(tempfile::tempfile().unwrap());
        let files = [OwnedFd::from(writer), other(), other(), other()];
        send(&ours, &files).unwrap();
        drop(files);
        let mut received = receive(&theirs).unwrap();
        assert_eq!(received.len(), 4);
        let writer = received.swap_remove(0);
        drop(received);
        std::fs::File::from(writer).write_all(b"through").unwrap();
        let mut text = String::new();
        std::io::BufReader::new(reader)
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "through");
    }
}
