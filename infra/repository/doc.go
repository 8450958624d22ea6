// Package repository holds tests of what is around the code: links in documents, and versions of tools.
package repository
