//! DQL: from text to rows, without input or output.
