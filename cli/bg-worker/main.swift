import BackgroundJobsCommands

await WorkerProgram.main()
