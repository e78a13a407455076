//! CRI v1 types, generated from cri/api/proto.
