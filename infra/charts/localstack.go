package charts

// LocalStackPort is where the emulator listens: in its pod, and at its Service.
const LocalStackPort = 4566

// LocalStack is what the program sets of the values of the chart localstack. The others have their
// defaults in its values.yaml.
type LocalStack struct {
	Image     string `json:"image"`
	AuthToken string `json:"authToken"`
	NodePort  int    `json:"nodePort"`
}
