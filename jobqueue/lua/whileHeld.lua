--[[
  Do what a shipped script does about a job that runs, if the job is still this run's: whoever has lost it must not write
  into what may be another run's by now.
  Around: addLog, updateProgress, updateJobScheduler or removeUnprocessedChildren
  KEYS, ARGV: those of the shipped script, and then
    KEYS[#KEYS] lock of the job
    ARGV[#ARGV] token of the run
  Returns: {the shipped script's answer}; 0 where the job is not this run's
]]
if redis.call("GET", KEYS[#KEYS]) ~= ARGV[#ARGV] then
  return 0
end
return {shipped(KEYS, ARGV)}
