// Command nothing ends at once: what its start takes is the part of any Go program's that no code of its own
// can change.
package main

func main() {}
