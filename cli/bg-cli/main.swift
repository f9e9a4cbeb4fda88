import BackgroundJobsCommands

await BackgroundCLI.runAndExit()
