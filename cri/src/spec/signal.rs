//! Signals: the CRI's, an image's, and the kernel's numbers (x86 and arm; signal(7)).

use husk_cri_api::{ContainerConfig, Signal};
use husk_image::ImageConfig;

use crate::error::{Error, Result};

const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];
/// SIGRTMIN as libc counts it: the kernel's 32 and 33 belong to the threads library.
const RTMIN: u8 = 34;
const RTMAX: u8 = 64;

/// SIGTERM.
pub const TERM: u8 = 15;

/// The signal that asks the container to stop: its own, its image's, or SIGTERM.
pub fn of_container(config: &ContainerConfig, image: &ImageConfig) -> Result<u8> {
    let own = config.stop_signal();
    if own != Signal::RuntimeDefault {
        let name = own.as_str_name();
        return parse(name.strip_prefix("SIGNAL_").unwrap_or(name))
            .ok_or_else(|| Error::invalid("config.stop_signal", format!("no signal {name}")));
    }
    match image.stop_signal.as_deref().filter(|name| !name.is_empty()) {
        None => Ok(TERM),
        Some(name) => parse(name)
            .ok_or_else(|| Error::invalid("config.image", format!("its StopSignal {name:?} is no signal"))),
    }
}

/// A signal by name (with or without SIG) or number.
pub fn parse(text: &str) -> Option<u8> {
    if let Ok(number) = text.parse::<u8>() {
        return (1..=RTMAX).contains(&number).then_some(number);
    }
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let steps = |rest: &str, sign: &str| -> Option<u8> {
        if rest.is_empty() {
            return Some(0);
        }
        let digits =
            rest.strip_prefix(sign).or_else(|| rest.strip_prefix(if sign == "+" { "PLUS" } else { "MINUS" }));
        digits?.parse().ok()
    };
    if let Some(rest) = name.strip_prefix("RTMIN") {
        return steps(rest, "+").and_then(|n| RTMIN.checked_add(n)).filter(|n| *n <= RTMAX);
    }
    if let Some(rest) = name.strip_prefix("RTMAX") {
        return steps(rest, "-").and_then(|n| RTMAX.checked_sub(n)).filter(|n| *n >= RTMIN);
    }
    let plain = match name {
        "CLD" => "CHLD",
        "IOT" => "ABRT",
        "POLL" => "IO",
        name => name,
    };
    NAMES.iter().position(|known| *known == plain).and_then(|index| u8::try_from(index + 1).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_of_the_interface_has_a_number() {
        for value in 1..=65 {
            let signal = Signal::try_from(value).unwrap();
            let config = ContainerConfig { stop_signal: value, ..Default::default() };
            let number = of_container(&config, &ImageConfig::default()).unwrap();
            assert!((1..=64).contains(&number), "{signal:?}");
        }
    }

    #[test]
    fn names_and_numbers() {
        for (text, number) in
            [("SIGTERM", 15), ("term", 15), ("9", 9), ("SIGRTMIN+3", 37), ("SIGRTMAX-1", 63), ("SIGPOLL", 29)]
        {
            assert_eq!(parse(text), Some(number), "{text}");
        }
        for text in ["", "SIG", "0", "65", "SIGRTMIN+31", "FOO", "-1"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_container_s_signal_goes_before_the_image_s() {
        let image = ImageConfig { stop_signal: Some("SIGQUIT".into()), ..Default::default() };
        assert_eq!(of_container(&ContainerConfig::default(), &image).unwrap(), 3);
        let own = ContainerConfig { stop_signal: Signal::Sigusr1 as i32, ..Default::default() };
        assert_eq!(of_container(&own, &image).unwrap(), 10);
        assert_eq!(of_container(&ContainerConfig::default(), &ImageConfig::default()).unwrap(), 15);
    }
}
