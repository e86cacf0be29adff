# Tab completes sweeps, their options and the values of an option, after `python` and `uv run python`.
#   bash: source sweeps/completion.bash
#   zsh:  autoload -U +X compinit bashcompinit && compinit && bashcompinit && source sweeps/completion.bash
# The words come from the --help of a script, which is asked once.
typeset -A _game_of_noise_help

_game_of_noise() {
  local script= flag= word current=${COMP_WORDS[COMP_CWORD]}
  COMPREPLY=()
  for word in "${COMP_WORDS[@]:1:$((COMP_CWORD - 1))}"; do
    [[ $word == *sweeps/*.py && -f $word ]] && script=$word
    [[ $word == --* ]] && flag=$word
  done
  if [[ ! $script ]]; then # files, and first of all the sweeps
    COMPREPLY=($(compgen -W "$(ls sweeps/[!_]*.py 2> /dev/null)" -- "$current"))
    return
  fi
  if [[ ! ${_game_of_noise_help[$script]-} ]]; then
    local ask=(python)
    [[ ${COMP_WORDS[0]} == uv ]] && ask=(uv run python)
    _game_of_noise_help[$script]=$("${ask[@]}" "$script" --help 2> /dev/null)
  fi
  if [[ $current == -* || ! $flag ]]; then
    COMPREPLY=($(compgen -W "$(grep -oE '^  --[a-z-]+' <<< "${_game_of_noise_help[$script]}")" -- "$current"))
    return
  fi
  # What stands between an option and its text, also on further lines; FILE and the like are no words to complete.
  COMPREPLY=($(compgen -W "$(awk -v flag="$flag" '
    /^  --/ { is_it = $1 == flag; line = $0; sub(/^  --[a-z-]+ ?/, "", line); sub(/   *.*/, "", line)
              if (is_it) words = line; next }
    is_it && /^      [^ ]/ { words = words " " $0; next }
    { is_it = 0 }
    END { if (words ~ /[|]/) { gsub(/[|]|[.][.][.]|[A-Z:]+/, " ", words); print words } }
  ' <<< "${_game_of_noise_help[$script]}")" -- "$current"))
}

for _command in python uv; do # in bash what is set already stays
  [[ ! ${ZSH_VERSION-} ]] && complete -p $_command > /dev/null 2>&1 && continue
  complete -o bashdefault -o default -F _game_of_noise $_command
done
unset _command
