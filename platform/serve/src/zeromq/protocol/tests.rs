use super::{
    COMMAND, FRAME_BYTES_MAX, Frame, GREETING, MORE, ProtocolError, check_greeting, check_ready,
    command, frame, push, push_ready,
};

#[test]
fn frames_are_read_as_they_are_written_and_wait_for_their_last_byte() {
    for length in [0, 1, 255, 256, FRAME_BYTES_MAX] {
        for flags in [0, MORE, COMMAND] {
            let body = vec![7; length];
            let mut bytes = Vec::new();
            push(&mut bytes, flags, &body);
            let end = bytes.len();
            bytes.push(0xFF);
            let (read, taken) = frame(&bytes).unwrap().unwrap();
            assert_eq!((read.body, read.flags & !2, taken), (&*body, flags, end));
            for cut in 0..end {
                assert_eq!(frame(&bytes[..cut]), Ok(None), "{cut} of {end}");
            }
        }
    }
}

#[test]
fn what_no_subscriber_says_is_refused() {
    let too_large = [2, 0, 0, 0, 0, 0, 0, 0x20, 1];
    assert_eq!(frame(&too_large), Err(ProtocolError::FrameTooLarge(8_193)));
    assert!(frame(&[2, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]).is_err());
    assert_eq!(frame(&[8, 0]), Err(ProtocolError::Flags));
    assert_eq!(check_greeting(&GREETING), Ok(()));
    for (at, value, why) in [
        (0, 0, ProtocolError::Version),
        (9, 0, ProtocolError::Version),
        (10, 2, ProtocolError::Version),
        (12, b'P', ProtocolError::Mechanism),
        (16, b'X', ProtocolError::Mechanism),
    ] {
        let mut greeting = GREETING;
        greeting[at] = value;
        assert_eq!(check_greeting(&greeting), Err(why), "byte {at}");
    }
}

#[test]
fn a_ready_names_the_kind_of_socket() {
    let ready = |body: &[u8]| check_ready(Frame { flags: COMMAND, body });
    let sub = b"\x05READY\x08Identity\0\0\0\0\x0bSocket-Type\0\0\0\x03SUB";
    assert_eq!(ready(sub), Ok(()));
    assert_eq!(ready(b"\x05READY\x0bSocket-Type\0\0\0\x04XSUB"), Ok(()));
    assert_eq!(check_ready(Frame { flags: 0, body: sub }), Err(ProtocolError::NotReady));
    assert_eq!(ready(b"\x05ERROR"), Err(ProtocolError::NotReady));
    assert_eq!(ready(b"\x05READY"), Err(ProtocolError::NotSubscriber));
    for cut in 0..sub.len() {
        assert!(ready(&sub[..cut]).is_err());
    }
    let mut ours = Vec::new();
    push_ready(&mut ours);
    let (frame, _) = frame(&ours).unwrap().unwrap();
    assert_eq!(command(frame.body).unwrap().0, b"READY");
    assert_eq!(check_ready(frame), Err(ProtocolError::NotSubscriber));
}
