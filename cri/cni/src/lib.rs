//! CNI: network lists read, plugins called, results cached.
