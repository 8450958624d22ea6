// Package repository holds tests of what is around the code: that documents name what exists, that tools have one
// version wherever they are named, and that workflows may do no more than they must.
package repository
