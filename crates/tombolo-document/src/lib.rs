//! JSON documents as mergeable replicated data: values, ids, clocks, version vectors and the canonical encoding.
