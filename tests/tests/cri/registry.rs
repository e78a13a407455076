//! A registry inside the node's network namespace, as slow as a test wants it.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use husk_tests::image::{Image, digest};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::node::Node;

/// Serves one image under any name at the address that is given back. It ends with the process.
pub fn serve(node: &Node, image: Image, pause: Duration) -> String {
    let namespace =
        std::fs::File::open(format!("/proc/{}/ns/net", node.pid())).expect("the node's namespace");
    let (sender, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        // A socket belongs to the namespace in which it was made; this thread does nothing else.
        let kind = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), kind).expect("setns");
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        sender.send(listener.local_addr().expect("address").to_string()).expect("send");
        let image = Arc::new(image);
        for stream in listener.incoming().flatten() {
            let image = image.clone();
            std::thread::spawn(move || drop(answer(stream, &image, pause)));
        }
    });
    address.recv().expect("the registry's address")
}

fn answer(mut stream: TcpStream, image: &Image, pause: Duration) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut head = String::new();
    while reader.read_line(&mut head)? > 2 {}
    let path = line.split(' ').nth(1).unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    let found = if path == "/v2/" {
        Some((b"{}".as_slice(), "application/json"))
    } else if path.contains("/manifests/") {
        Some((image.manifest.as_slice(), image.media_type))
    } else {
        let blob = image.blobs().into_iter().find(|blob| digest(blob) == last);
        blob.map(|blob| (blob, "application/octet-stream"))
    };
    let Some((body, kind)) = found else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let (length, digest) = (body.len(), digest(body));
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
         Docker-Content-Digest: {digest}\r\nConnection: close\r\n\r\n"
    )?;
    if line.starts_with("HEAD") {
        return Ok(());
    }
    for chunk in body.chunks(64 << 10) {
        std::thread::sleep(pause);
        stream.write_all(chunk)?;
    }
    Ok(())
}
