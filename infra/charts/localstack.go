package charts

// LocalStackPort is where the emulator of the chart localstack listens: in its pod, and at its Service.
const LocalStackPort = 4566
