//! The interface between a node and its provers, made from `proto/post.proto` (POST.md section 7).
#![forbid(unsafe_code)]

/// Messages, client (`post_service_client`) and server (`post_service_server`).
#[allow(missing_docs, unreachable_pub, clippy::pedantic)]
pub mod v1 {
    tonic::include_proto!("spacemesh.v1");
}
