//! Measures pull + unpack against `tar -xzf` of the same layers, interleaved, and prints one JSON line.
//!
//! `image_pull [MIB] [ROUNDS]`: an image of six gzip layers with about MIB mebibytes together (400 if not given), made of
//! this machine's /usr, is pushed to Debian's docker-registry on loopback; each round unpacks it with tar, one layer
//! after the other, and pulls it into a fresh store.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use husk_image::{Auth, Config, Store};
use husk_tests::image::{Compression, Image, Layer, digest};
use husk_tests::registry::Registry;
use serde_json::json;

const LAYERS: usize = 6;

fn main() {
    let number =
        |at: usize, default: u64| std::env::args().nth(at).map_or(default, |text| text.parse().unwrap());
    let (mib, rounds) = (number(1, 400), number(2, 5));
    let dir = husk_tests::temp_dir();
    let files = layers(dir.path(), mib << 20);
    let size: u64 = files.iter().map(|file| file.metadata().unwrap().len()).sum();
    let registry = Registry::start();
    let layers = files.iter().map(|file| {
        let tar = Command::new("zcat").arg(file).stderr(Stdio::null()).output().unwrap().stdout;
        let diff_id = digest(&tar);
        Layer { blob: std::fs::read(file).unwrap(), diff_id, compression: Compression::Gzip }
    });
    let image = Image::new(layers.collect(), &json!({}));
    let reference = registry.push(&image, "bench", "v1");
    drop(image);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (mut tars, mut pulls) = (Vec::new(), Vec::new());
    let (mut tar_cpu, mut pull_cpu) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let target = dir.path().join("tar");
        let before = cpu();
        tars.push(timed(|| {
            for (at, file) in files.iter().enumerate() {
                let target = target.join(at.to_string());
                std::fs::create_dir_all(&target).unwrap();
                let done = Command::new("tar").arg("-xzf").arg(file).arg("-C").arg(&target).status().unwrap();
                assert!(done.success());
            }
        }));
        tar_cpu.push(cpu().1 - before.1);
        std::fs::remove_dir_all(&target).unwrap();
        let root = dir.path().join("store");
        let store = Store::open(&root, Config::default()).unwrap();
        let before = cpu();
        pulls.push(timed(|| {
            runtime.block_on(store.pull(&reference, &Auth::Anonymous, None)).unwrap();
        }));
        pull_cpu.push(cpu().0 - before.0);
        runtime.block_on(store.remove(&reference)).unwrap();
    }
    let ratios: Vec<f64> = tars.iter().zip(&pulls).map(|(tar, pull)| pull / tar).collect();
    println!(
        "{}",
        json!({
            "what": "pull and unpack of six gzip layers against tar -xzf", "mib": size >> 20, "rounds": rounds,
            "tar_s": range(tars), "pull_s": range(pulls), "ratio": range(ratios), "tar_cpu_s": range(tar_cpu),
            "pull_cpu_s": range(pull_cpu),
        })
    );
}

/// Seconds of processor time of this process, and of programs that it ran (proc(5), stat: fields 14 to 17, in 1/100 s).
fn cpu() -> (f64, f64) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<f64> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .skip(11)
        .take(4)
        .map(|n| n.parse().unwrap())
        .collect();
    ((fields[0] + fields[1]) / 100.0, (fields[2] + fields[3]) / 100.0)
}

/// Nobody's earlier writes are to be paid for in the time.
fn timed(work: impl FnOnce()) -> f64 {
    rustix::fs::sync();
    let begin = Instant::now();
    work();
    begin.elapsed().as_secs_f64()
}

/// Lowest, median, highest.
fn range(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [values[0], values[values.len() / 2], values[values.len() - 1]]
        .map(|value| (value * 1000.0).round() / 1000.0)
}

/// Six archives of files from /usr.
fn layers(dir: &Path, bytes: u64) -> Vec<PathBuf> {
    let mut lists: Vec<Vec<u8>> = vec![Vec::new(); LAYERS];
    // Programs and libraries shrink to about 40 % with gzip.
    let (wanted, mut taken) = (bytes * 5 / 2, 0);
    let mut find = Command::new("find");
    find.args(["/usr", "-xdev", "-type", "f", "-size", "-32M", "-printf", "%s %p\\0"]);
    let found = find.stderr(Stdio::null()).output().unwrap().stdout;
    for entry in found.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
        let text = String::from_utf8_lossy(entry);
        let Some((size, path)) = text.split_once(' ') else { continue };
        taken += size.parse::<u64>().unwrap();
        if taken > wanted {
            break;
        }
        let at = usize::try_from(taken * LAYERS as u64 / (wanted + 1)).unwrap();
        lists[at].extend_from_slice(path.as_bytes());
        lists[at].push(0);
    }
    let mut running = Vec::new();
    for (at, list) in lists.iter().enumerate() {
        let (names, file) = (dir.join(format!("{at}.list")), dir.join(format!("{at}.tar.gz")));
        std::fs::write(&names, list).unwrap();
        let mut tar = Command::new("tar");
        tar.args(["--null", "--ignore-failed-read", "-C", "/", "-czf"]).arg(&file).arg("-T").arg(&names);
        running.push((tar.stderr(Stdio::null()).spawn().unwrap(), file));
    }
    let finished = running.into_iter().map(|(mut child, file)| {
        child.wait().unwrap();
        file
    });
    finished.collect()
}
