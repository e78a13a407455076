//! A registry in this process whose every answer a test decides.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use husk_tests::image::{Image, digest};

/// A request's path with query, and headers by lower-case name.
#[derive(Debug, Clone)]
pub struct Request {
    pub path: String,
    pub headers: HashMap<String, String>,
}

/// What to send back.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Send this many bytes of the body only, then close.
    pub cut: Option<usize>,
    /// Then send nothing more, and keep the connection open.
    pub hang: bool,
}

impl Response {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Response {
        Response { status, headers: Vec::new(), body: body.into(), cut: None, hang: false }
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Response {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn cut(self, at: usize) -> Response {
        Response { cut: Some(at), ..self }
    }

    pub fn hang(self) -> Response {
        Response { hang: true, ..self }
    }
}

type Handler = dyn Fn(&Request) -> Response + Send + Sync;

pub struct Fake {
    pub port: u16,
    pub requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
}

impl Fake {
    pub fn start(handler: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stop, requests) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<Vec<Request>>>::default());
        let handler: Arc<Handler> = Arc::new(handler);
        let (stopped, seen) = (Arc::clone(&stop), Arc::clone(&requests));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (handler, seen, stopped) =
                    (Arc::clone(&handler), Arc::clone(&seen), Arc::clone(&stopped));
                std::thread::spawn(move || serve(stream.unwrap(), &*handler, &seen, &stopped));
            }
        });
        Fake { port, requests, stop }
    }

    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn count(&self, part: &str) -> usize {
        self.requests.lock().unwrap().iter().filter(|request| request.path.contains(part)).count()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// One request per connection.
fn serve(mut stream: TcpStream, handler: &Handler, seen: &Mutex<Vec<Request>>, stopped: &AtomicBool) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    let mut words = line.split(' ').map(str::to_owned);
    let path = words.nth(1).unwrap();
    let mut headers = HashMap::new();
    loop {
        line.clear();
        let _ = reader.read_line(&mut line);
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let request = Request { path, headers };
    seen.lock().unwrap().push(request.clone());
    let response = handler(&request);
    let mut head = format!("HTTP/1.1 {} X\r\nConnection: close\r\n", response.status);
    if !response.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
        head += &format!("Content-Length: {}\r\n", response.body.len());
    }
    for (name, value) in &response.headers {
        head += &format!("{name}: {value}\r\n");
    }
    let end = response.cut.unwrap_or(response.body.len());
    let _ = stream.write_all(format!("{head}\r\n").as_bytes());
    let _ = stream.write_all(&response.body[..end]);
    while response.hang && !stopped.load(Ordering::SeqCst) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// The honest answer: an image under any repository and tag, with ranges.
pub fn honest(image: &Image, request: &Request) -> Response {
    if request.path.contains("/manifests/") {
        return Response::new(200, image.manifest.clone())
            .header("Content-Type", image.media_type)
            .header("Docker-Content-Digest", image.digest());
    }
    let blob = image.blobs().into_iter().find(|blob| request.path.contains(&digest(blob)));
    let Some(blob) = blob else { return Response::new(404, "") };
    let from: Option<usize> = request.headers.get("range").and_then(|range| {
        range.strip_prefix("bytes=").and_then(|range| range.trim_end_matches('-').parse().ok())
    });
    match from {
        Some(from) => Response::new(206, &blob[from..]),
        None => Response::new(200, blob),
    }
}
