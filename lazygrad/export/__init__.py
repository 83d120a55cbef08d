"""Taking a step elsewhere: as functions of C, for other programs, languages, processors and web pages."""
