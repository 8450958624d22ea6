// Command infra shows that infrastructure and application share one contract: it prints the
// environment that the API of this checkout is to be started with.
package main

import (
	"fmt"

	"prima.internal/app/config"
)

func main() {
	for _, v := range config.Default().Environ() {
		fmt.Printf("%s=%s\n", v.Name, v.Value)
	}
}
