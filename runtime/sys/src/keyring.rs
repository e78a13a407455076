//! Session keyrings: keyctl(2).

use crate::{Result, check};
use std::ffi::CStr;

const JOIN_SESSION_KEYRING: libc::c_int = 1;
const SETPERM: libc::c_int = 5;
const DESCRIBE: libc::c_int = 6;

/// Makes a session keyring of this name and joins it: the container does not get at its caller's keys.
pub fn join_session(name: &CStr) -> Result<i32> {
    // SAFETY: name is a valid C string for the time of the call.
    let id = check(unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, name.as_ptr()) })?;
    Ok(id as i32)
}

/// Lets the user who owns the keyring search it, so that the container's processes of that user can.
pub fn let_owner_search(keyring: i32) -> Result<()> {
    let mut buffer = [0u8; 1024];
    // SAFETY: the buffer is as long as said.
    let length = check(unsafe {
        libc::syscall(libc::SYS_keyctl, DESCRIBE, keyring, buffer.as_mut_ptr(), buffer.len())
    })?;
    // "type;uid;gid;perm;description", perm in hexadecimal.
    let text = String::from_utf8_lossy(&buffer[..(length as usize).min(buffer.len())]).into_owned();
    let Some(permissions) = text.split(';').nth(3).and_then(|perm| u32::from_str_radix(perm, 16).ok()) else {
        return Err(crate::Errno::INVAL);
    };
    const USER_SEARCH: u32 = 0x0008_0000;
    // SAFETY: takes numbers only.
    check(unsafe { libc::syscall(libc::SYS_keyctl, SETPERM, keyring, permissions | USER_SEARCH) })?;
    Ok(())
}
