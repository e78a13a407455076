//! Samples, and ratios with their range.

use std::time::{Duration, Instant};

/// Times of one thing.
#[derive(Debug, Default, Clone)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Adds a time.
    pub fn push(&mut self, time: Duration) {
        self.0.push(time.as_secs_f64() * 1000.0);
    }

    /// Measures and adds.
    pub fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let begin = Instant::now();
        let value = work();
        self.push(begin.elapsed());
        value
    }

    /// Adds another's times.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        sorted.get((last as f64 * part).round() as usize).copied().unwrap_or(f64::NAN)
    }

    /// Median, in milliseconds.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// `median (10th to 90th percentile)` in milliseconds.
    pub fn text(&self) -> String {
        format!("{:.2} ms ({:.2} to {:.2})", self.median(), self.quantile(0.1), self.quantile(0.9))
    }

    /// How many times `other` this takes: the median over rounds, with the 10th and 90th percentile. Each round has
    /// measured both, so the machine's noise is in both.
    pub fn ratio(&self, other: &Self) -> String {
        let rounds = self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect();
        let rounds = Self(rounds);
        format!("{:.2} ({:.2} to {:.2})", rounds.median(), rounds.quantile(0.1), rounds.quantile(0.9))
    }
}
