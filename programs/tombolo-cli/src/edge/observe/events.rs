//! The events of a live query as bytes: the same members as server-sent events and as messages.

use tombolo::{Diff, Value};

use super::limits::EVENT_BYTES_MAX;
use crate::edge::reply::{Refused, write_text, write_value};

/// How events are put into bytes.
#[derive(Debug, Clone)]
pub(super) enum Framing {
    /// `text/event-stream`; the sequence is the event's id.
    ServerSent,
    /// JSON on a line of its own; this is the member that names the live query, with a comma before it.
    Message(String),
}

impl Framing {
    /// Messages about the live query of this name; about none, if it is empty.
    pub(super) fn message(name: &str) -> Self {
        if name.is_empty() {
            return Self::Message(String::new());
        }
        let mut member = br#","id":"#.to_vec();
        write_text(&mut member, name);
        Self::Message(String::from_utf8_lossy(&member).into_owned())
    }
}

/// An event is larger than [`EVENT_BYTES_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLarge;

/// Writes events one after another.
#[derive(Debug)]
pub(super) struct Writer<'f> {
    framing: &'f Framing,
    bytes: Vec<u8>,
}

impl<'f> Writer<'f> {
    pub(super) const fn new(framing: &'f Framing) -> Self {
        Self {
            framing,
            bytes: Vec::new(),
        }
    }

    /// `initial`: all rows.
    pub(super) fn initial(&mut self, sequence: u64, rows: &[Value]) -> Result<(), TooLarge> {
        self.open("initial", sequence);
        self.list("\"rows\":", rows.iter(), write_value)?;
        self.close();
        Ok(())
    }

    /// `behind`: so many commits are told as one.
    pub(super) fn behind(&mut self, sequence: u64, merged: u64) {
        self.open("behind", sequence);
        let text = "you are behind: several commits came while you did not read, and the next event tells them as one change";
        self.bytes.extend_from_slice(br#""description":"#);
        write_text(&mut self.bytes, text);
        self.bytes
            .extend_from_slice(format!(r#","merged":{merged}"#).as_bytes());
        self.close();
    }

    /// `change`: how the rows before became these.
    pub(super) fn change(
        &mut self,
        sequence: u64,
        diff: &Diff,
        rows: &[Value],
    ) -> Result<(), TooLarge> {
        self.open("change", sequence);
        let row_at = |out: &mut Vec<u8>, index: &usize| {
            out.extend_from_slice(format!(r#"{{"index":{index},"row":"#).as_bytes());
            if let Some(row) = rows.get(*index) {
                write_value(out, row);
            }
            out.push(b'}');
        };
        self.list("\"inserts\":", diff.insertions.iter(), row_at)?;
        self.list(",\"updates\":", diff.updates.iter(), row_at)?;
        self.list(",\"deletes\":", diff.deletions.iter(), |out, index| {
            out.extend_from_slice(index.to_string().as_bytes());
        })?;
        self.list(",\"moves\":", diff.moves.iter(), |out, (from, to)| {
            out.extend_from_slice(format!(r#"{{"from":{from},"to":{to}}}"#).as_bytes());
        })?;
        self.close();
        Ok(())
    }

    /// `error`: this live query is over.
    pub(super) fn error(&mut self, sequence: u64, refused: &Refused) {
        self.open("error", sequence);
        self.bytes.extend_from_slice(br#""error":"#);
        refused.write_error(&mut self.bytes);
        self.close();
    }

    /// `refused`: a message that was not followed, and changed nothing. Only messages have it.
    pub(super) fn refused(&mut self, refused: &Refused) {
        self.open_plain("refused");
        self.bytes.extend_from_slice(br#","error":"#);
        refused.write_error(&mut self.bytes);
        self.close();
    }

    /// `cancelled`: a live query ended as its client wished. Only messages have it.
    pub(super) fn cancelled(&mut self) {
        self.open_plain("cancelled");
        self.close();
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn open(&mut self, name: &str, sequence: u64) {
        let head = match self.framing {
            Framing::ServerSent => format!("id: {sequence}\nevent: {name}\ndata: {{"),
            Framing::Message(id) => {
                format!(r#"{{"type":"{name}"{id},"sequence":{sequence},"#)
            }
        };
        self.bytes.extend_from_slice(head.as_bytes());
    }

    /// Begins what is no event of a live query.
    fn open_plain(&mut self, name: &str) {
        let head = match self.framing {
            Framing::ServerSent => format!("event: {name}\ndata: {{"),
            Framing::Message(id) => format!(r#"{{"type":"{name}"{id}"#),
        };
        self.bytes.extend_from_slice(head.as_bytes());
    }

    fn close(&mut self) {
        let tail: &[u8] = match self.framing {
            Framing::ServerSent => b"}\n\n",
            Framing::Message(_) => b"}\n",
        };
        self.bytes.extend_from_slice(tail);
    }

    fn list<T>(
        &mut self,
        name: &str,
        items: impl Iterator<Item = T>,
        write: impl Fn(&mut Vec<u8>, T),
    ) -> Result<(), TooLarge> {
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(b'[');
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.bytes.push(b',');
            }
            write(&mut self.bytes, item);
            if self.bytes.len() > EVENT_BYTES_MAX {
                return Err(TooLarge);
            }
        }
        self.bytes.push(b']');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tombolo::json;

    use super::*;

    fn rows(text: &str) -> Vec<Value> {
        match json::parse(text.as_bytes()).unwrap() {
            Value::Array(rows) => rows,
            other => panic!("{other:?}"),
        }
    }

    fn text(write: impl FnOnce(&mut Writer<'_>)) -> String {
        let mut writer = Writer::new(&Framing::ServerSent);
        write(&mut writer);
        String::from_utf8(writer.finish()).unwrap()
    }

    #[test]
    fn rows_stand_on_one_line_whatever_they_hold() {
        let rows = rows(r#"[{"_id":1,"t":"a\nb\r\u2028"},{"_id":2}]"#);
        let text = text(|writer| writer.initial(1, &rows).unwrap());
        let lines: Vec<&str> = text.split('\n').collect();
        assert_eq!(lines[..2], ["id: 1", "event: initial"]);
        assert!(
            lines[2].starts_with(r#"data: {"rows":[{"_id":1,"t":"a\nb\r"#),
            "{text}"
        );
        assert_eq!(lines[3..], ["", ""]);
    }

    #[test]
    fn a_change_tells_rows_that_came_or_differ_and_places_of_the_others() {
        let diff = Diff {
            insertions: vec![0],
            deletions: vec![3, 4],
            updates: vec![1],
            moves: vec![(2, 0)],
        };
        let rows = rows(r#"[{"_id":1},{"_id":2,"n":1}]"#);
        assert_eq!(
            text(|writer| writer.change(7, &diff, &rows).unwrap()),
            "id: 7\nevent: change\ndata: {\"inserts\":[{\"index\":0,\"row\":{\"_id\":1}}],\"updates\":[{\"index\":1,\"row\":{\"_id\":2,\"n\":1}}],\"deletes\":[3,4],\"moves\":[{\"from\":2,\"to\":0}]}\n\n"
        );
    }

    #[test]
    fn a_message_has_the_same_members_and_the_name_of_its_live_query() {
        let framing = Framing::message("a\"b");
        let mut writer = Writer::new(&framing);
        writer.initial(1, &rows("[1]")).unwrap();
        writer.cancelled();
        let text = String::from_utf8(writer.finish()).unwrap();
        let initial = r#"{"type":"initial","id":"a\"b","sequence":1,"rows":[1]}"#;
        let cancelled = r#"{"type":"cancelled","id":"a\"b"}"#;
        assert_eq!(text.lines().collect::<Vec<_>>(), [initial, cancelled]);
    }

    #[test]
    fn a_refusal_of_no_live_query_has_no_name() {
        let framing = Framing::message("");
        let mut writer = Writer::new(&framing);
        writer.refused(&Refused::new(
            http::StatusCode::BAD_REQUEST,
            "bad_message",
            "no",
        ));
        let text = String::from_utf8(writer.finish()).unwrap();
        let expected = r#"{"type":"refused","error":{"description":"no","code":"bad_message"}}"#;
        assert_eq!(text.trim_end(), expected);
    }

    #[test]
    fn an_event_beyond_the_limit_is_not_made() {
        let long = "x".repeat(EVENT_BYTES_MAX / 2);
        let rows = [Value::from(&*long), Value::from(&*long)];
        let mut writer = Writer::new(&Framing::ServerSent);
        assert_eq!(writer.initial(1, &rows[..1]), Ok(()));
        let mut writer = Writer::new(&Framing::ServerSent);
        assert_eq!(writer.initial(1, &rows), Err(TooLarge));
    }
}
