//! Devices and their addresses, in the network namespace of a socket.

use super::netlink::{CREATE, DUMP, Request, Socket, array, attributes};
use husk_sys::{Errno, Result};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::{AsRawFd as _, BorrowedFd},
};

/// RTM_NEWLINK, RTM_GETLINK, RTM_NEWADDR, RTM_GETADDR
const NEW_LINK: u16 = 16;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const GET_ADDRESS: u16 = 22;
/// IFLA_IFNAME, IFLA_NET_NS_FD
const NAME: u16 = 3;
const NAMESPACE: u16 = 28;
/// IFF_UP
const UP: u32 = 1;
/// IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_CACHEINFO, IFA_FLAGS, IFA_RT_PRIORITY, IFA_PROTO
const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;
const BROADCAST: u16 = 4;
const LIFETIMES: u16 = 6;
const FLAGS: u16 = 8;
const PRIORITY: u16 = 9;
const PROTOCOL: u16 = 11;
/// IFA_F_PERMANENT
const PERMANENT: u32 = 0x80;
/// IFA_F_NODAD, IFA_F_HOMEADDRESS, IFA_F_MANAGETEMPADDR, IFA_F_NOPREFIXROUTE: the flags that whoever adds an address may set.
const SETTABLE: u32 = 0x02 | 0x10 | 0x100 | 0x200;
/// RT_SCOPE_UNIVERSE
const GLOBAL: u8 = 0;

/// A device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number in this namespace.
    pub index: i32,
    /// Whether it is up.
    pub up: bool,
}

/// The device of this name.
pub fn find(socket: &Socket, name: &str) -> Result<Link> {
    let answers = socket.call(&Request::new(GET_LINK, 0, &header(0, 0, 0)).with_name(NAME, name))?;
    let body = answers.first().ok_or(Errno::NODEV)?;
    Ok(Link { index: i32::from_ne_bytes(array(body, 4)?), up: u32::from_ne_bytes(array(body, 8)?) & UP != 0 })
}

/// The names of all devices.
pub fn names(socket: &Socket) -> Result<Vec<String>> {
    let answers = socket.call(&Request::new(GET_LINK, DUMP, &header(0, 0, 0)))?;
    let name = |body: &Vec<u8>| {
        let attributes = attributes(body.get(16..)?);
        let (_, value) = attributes.into_iter().find(|(kind, _)| *kind == NAME)?;
        Some(String::from_utf8_lossy(value.strip_suffix(b"\0")?).into_owned())
    };
    Ok(answers.iter().filter_map(name).collect())
}

/// Sets a device up or down.
pub fn set_up(socket: &Socket, link: Link, up: bool) -> Result<()> {
    let flags = if up { UP } else { 0 };
    socket.call(&Request::new(NEW_LINK, 0, &header(link.index, flags, UP))).map(drop)
}

/// Moves a device to another network namespace and renames it.
pub fn relocate(socket: &Socket, link: Link, namespace: BorrowedFd<'_>, name: &str) -> Result<()> {
    let request = Request::new(NEW_LINK, 0, &header(link.index, 0, 0))
        .with_name(NAME, name)
        .with(NAMESPACE, &namespace.as_raw_fd().to_ne_bytes());
    socket.call(&request).map(drop)
}

/// struct ifinfomsg: family, padding, type, index, flags, mask of the flags to change.
fn header(index: i32, flags: u32, change: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    let numbers = index.to_ne_bytes().into_iter().chain(flags.to_ne_bytes()).chain(change.to_ne_bytes());
    for (to, from) in bytes.iter_mut().skip(4).zip(numbers) {
        *to = from;
    }
    bytes
}

/// An address of a device, as the kernel told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    family: u8,
    prefix: u8,
    flags: u32,
    scope: u8,
    attributes: Vec<(u16, Vec<u8>)>,
}

impl Address {
    fn parse(body: &[u8]) -> Result<(i32, Self)> {
        // struct ifaddrmsg: family, length of the prefix, flags, scope, index.
        let [family, prefix, flags, scope] = array(body, 0)?;
        let found = attributes(body.get(8..).unwrap_or_default());
        let all = found.iter().find(|(kind, _)| *kind == FLAGS).and_then(|(_, value)| array(value, 0).ok());
        let kept = [ADDRESS, LOCAL, BROADCAST, LIFETIMES, PRIORITY, PROTOCOL];
        let address = Self {
            family,
            prefix,
            flags: all.map_or(u32::from(flags), u32::from_ne_bytes),
            scope,
            attributes: found
                .into_iter()
                .filter(|(kind, _)| kept.contains(kind))
                .map(|(kind, value)| (kind, value.to_vec()))
                .collect(),
        };
        Ok((i32::from_ne_bytes(array(body, 4)?), address))
    }

    /// Whether it goes along: set by somebody for good, and meant for more than its own link or host (config-linux.md,
    /// "Network Devices").
    fn is_lasting(&self) -> bool {
        self.flags & PERMANENT != 0 && self.scope == GLOBAL
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = |wanted| self.attributes.iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
        let bytes = value(LOCAL).or_else(|| value(ADDRESS)).map(Vec::as_slice).unwrap_or_default();
        let ip = match (<[u8; 4]>::try_from(bytes), <[u8; 16]>::try_from(bytes)) {
            (Ok(four), _) => IpAddr::from(Ipv4Addr::from(four)),
            (_, Ok(sixteen)) => IpAddr::from(Ipv6Addr::from(sixteen)),
            _ => return f.write_str("address of an unknown family"),
        };
        write!(f, "{ip}/{}", self.prefix)
    }
}

/// The addresses of a device that go along with it.
pub fn lasting_addresses(socket: &Socket, link: Link) -> Result<Vec<Address>> {
    let answers = socket.call(&Request::new(GET_ADDRESS, DUMP, &[0; 8]))?;
    let mut addresses = Vec::new();
    for body in &answers {
        let (index, address) = Address::parse(body)?;
        if index == link.index && address.is_lasting() {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

/// Adds an address. One that is there already is as good.
pub fn add_address(socket: &Socket, link: Link, address: &Address) -> Result<()> {
    let [a, b, c, d] = link.index.to_ne_bytes();
    let fixed = [address.family, address.prefix, 0, address.scope, a, b, c, d];
    let flags = (address.flags & SETTABLE).to_ne_bytes();
    let mut request = Request::new(NEW_ADDRESS, CREATE, &fixed).with(FLAGS, &flags);
    for (kind, value) in &address.attributes {
        request = request.with(*kind, value);
    }
    match socket.call(&request) {
        Err(Errno::EXIST) => Ok(()),
        result => result.map(drop),
    }
}
