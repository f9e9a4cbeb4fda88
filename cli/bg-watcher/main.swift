import BackgroundJobsCommands

await WatcherProgram.main()
