//! Arbitrary frames of a peer: they are refused, or they say something that is written again as it was read.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tombolo_document::bytes::put_varint;
use tombolo_sync::wire::{Assembler, BatchReader, Message};

/// The header of a frame names its channel in two bits.
const CHANNELS: usize = 4;

fuzz_target!(|frames: Vec<(u8, Vec<u8>)>| {
    let (mut assembler, mut reader) = (Assembler::default(), BatchReader::default());
    let mut numbers = [0_u64; CHANNELS];
    for (header, rest) in frames {
        // The numbers are right, or nothing behind them would ever be read.
        let number = &mut numbers[usize::from(header) % CHANNELS];
        let mut frame = vec![header];
        put_varint(&mut frame, *number);
        *number += 1;
        frame.extend_from_slice(&rest);
        let taken = match assembler.take(&frame.into()) {
            Ok(taken) => taken,
            Err(_) => return,
        };
        let Some((_, bytes)) = taken else { continue };
        match Message::decode(&bytes) {
            Err(_) => return,
            Ok(Message::Batch(mut part)) => {
                if reader.read(&mut part).is_err() {
                    return;
                }
            }
            Ok(message) => {
                let again = Bytes::from(message.encode());
                let again = Message::decode(&again).expect("what we write is a message");
                // Two encodings are compared, since NaN is not equal to itself.
                assert_eq!(
                    again.encode(),
                    message.encode(),
                    "a message survives writing"
                );
            }
        }
    }
});
